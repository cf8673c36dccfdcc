/** The text of `grpc-message`: percent-encoded UTF-8. */

/** With the u flag a pair of surrogates is one character, so these stand alone. */
const LONE_SURROGATE = /[\ud800-\udfff]/gu;

/** Never throws: what UTF-8 cannot say becomes U+FFFD. */
export function encodeStatusText(text: string): string {
  return encodeURI(text.replaceAll(LONE_SURROGATE, "\ufffd"));
}

/** Text that is not percent-encoded UTF-8 stays as it is. */
export function decodeStatusText(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
