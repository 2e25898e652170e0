// The state of a page as text: JSON, in a link compressed and as base64 of URLs.

export const version = 1;
const maxState = 12 << 20; // characters, unpacked

export async function toLink(state) {
  const packed = new Blob([JSON.stringify(state)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return `${location.origin}/#play=${btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

// fromLink reads a link, or its part after #.
export async function fromLink(link) {
  const packed = new URLSearchParams(link.slice(link.indexOf("#") + 1)).get("play");
  if (!packed) throw new Error("there is no state in this link: it ends in #play=…");
  let bytes;
  try {
    bytes = Uint8Array.from(atob(packed.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("the link is damaged");
  }
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => { throw new Error("the link is damaged"); });
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (text.length > maxState) throw new Error("the link holds too much");
  }
  return check(text);
}

// check reads the JSON of a state, and refuses what is none: it comes from somebody else.
export function check(text) {
  let s;
  try {
    s = JSON.parse(text);
  } catch {
    throw new Error("this is not a file that this page has made");
  }
  const isText = (v) => typeof v === "string";
  const good = s && s.play === version && isText(s.input) && ["json", "text"].includes(s.format) && isText(s.tag) &&
    isText(s.logLevel) && s.module && isText(s.module.name) && isText(s.module.sha256) &&
    Array.isArray(s.options) && s.options.every((o) => o && isText(o.key) && isText(o.value));
  if (!good) throw new Error(s && s.play > version ? "it was made by a newer flb-wasmtime" : "this is not a file that this page has made");
  return s;
}
