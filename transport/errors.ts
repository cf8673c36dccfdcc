/** The one error of dial and listen, with a closed set of codes. */

export type TransportErrorCode = "unreachable" | "closed" | "timeout";

/** A connection could not be made or was lost. The caller may try again, with back-off. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
}
