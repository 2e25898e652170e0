# The plugin as files: for an init container, which copies them to a volume, for an image volume,
# which shows them, and for COPY --from. Context is what make image-tree has made:
#
#   make dist package image-tree
#   docker buildx build --platform linux/amd64,linux/arm64 -f packaging/image/plugin.Dockerfile build/image
FROM scratch
ARG TARGETARCH
COPY linux-${TARGETARCH}/ /
# Not root, unless the volume is root's.
USER 65532:65532
ENTRYPOINT ["/install"]
CMD ["/plugin"]
