/** Certificates as text (RFC 7468). */

const block = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----$/;

/** The DER bytes of a text that holds one PEM certificate and nothing else, or `undefined`. */
export function decodePem(text: string): Uint8Array | undefined {
  const base64 = block.exec(text.trim())?.[1]?.replaceAll(/\s/g, "");
  if (base64 === undefined) return undefined;
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
