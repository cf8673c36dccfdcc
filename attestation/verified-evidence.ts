/** Evidence that passed every check; the verifier itself comes with the next commits. */

/** The only way to hold what evidence says. */
export class VerifiedEvidence {
  readonly #publicKey: Uint8Array | undefined;

  private constructor(publicKey: Uint8Array | undefined) {
    this.#publicKey = publicKey;
  }

  get publicKey(): Uint8Array | undefined {
    return this.#publicKey;
  }
}
