# An official Fluent Bit that has the plugin in it, loaded by its usual arguments. Context as for
# plugin.Dockerfile.
#
#   docker buildx build --build-arg FLUENT_BIT=5.1.1 -f packaging/image/fluent-bit.Dockerfile build/image
ARG BASE=cr.fluentbit.io/fluent/fluent-bit
ARG FLUENT_BIT=5.1.1
FROM ${BASE}:${FLUENT_BIT}
ARG TARGETARCH
COPY linux-${TARGETARCH}/usr/ /usr/
ENTRYPOINT ["/fluent-bit/bin/fluent-bit", "-e", "/usr/lib/fluent-bit/flb-filter_wasmtime.so"]
CMD ["-c", "/fluent-bit/etc/fluent-bit.conf"]
