/** Keys and certificates as text (RFC 7468). */

/** The DER bytes of a text that holds one PEM block of that label and nothing else, or `undefined`. */
export function decodePem(
  text: string,
  label: "CERTIFICATE" | "PUBLIC KEY" = "CERTIFICATE",
): Uint8Array | undefined {
  const block = new RegExp(
    `^-----BEGIN ${label}-----\\r?\\n([A-Za-z0-9+/=\\s]+)-----END ${label}-----$`,
  );
  const base64 = block.exec(text.trim())?.[1]?.replaceAll(/\s/g, "");
  if (base64 === undefined) return undefined;
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
