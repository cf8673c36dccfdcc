/** Cuts a text that arrives in pieces into the JSON documents that follow one another in it. */
export class JsonDocuments {
  /** What came since the last whole document. */
  #text = "";
  /** How much of it was looked at. */
  #at = 0;
  /** Where the document that is being read begins; -1 between two. */
  #start = -1;
  /** Open brackets; 0 in a document that is a string, a number or a word. */
  #depth = 0;
  #quoted = false;

  /** Takes the next piece; gives the documents that are whole with it. */
  push(piece: string): string[] {
    this.#text += piece;
    const whole: string[] = [];
    for (; this.#at < this.#text.length; this.#at++) {
      const end = this.#step(this.#text.charAt(this.#at));
      if (end === undefined) continue;
      whole.push(this.#text.slice(this.#start, end));
      this.#text = this.#text.slice(end);
      this.#start = -1;
      this.#at = -1;
    }
    if (this.#start < 0) {
      this.#text = "";
      this.#at = 0;
    }
    return whole;
  }

  /** What is left when no piece follows: a last number or word, or a document that was cut off. */
  end(): string[] {
    const rest = this.#text.slice(Math.max(0, this.#start));
    return rest.trim() === "" ? [] : [rest];
  }

  /** Looks at one character; gives the end of the document when it is whole. */
  #step(character: string): number | undefined {
    const next = this.#at + 1;
    if (this.#quoted) {
      // The character after a backslash is not looked at; it may come with the next piece.
      if (character === "\\") this.#at++;
      else if (character === '"') this.#quoted = false;
      return character === '"' && this.#depth === 0 ? next : undefined;
    }
    if (/\s/.test(character)) return this.#start >= 0 && this.#depth === 0 ? this.#at : undefined;
    const opens = character === "{" || character === "[";
    const isWord = this.#start >= 0 && this.#depth === 0;
    if (isWord && (opens || character === '"')) return this.#at;
    if (this.#start < 0) this.#start = this.#at;
    if (opens) this.#depth++;
    else if (character === '"') this.#quoted = true;
    else if ((character === "}" || character === "]") && --this.#depth <= 0) {
      this.#depth = 0;
      return next;
    }
    return undefined;
  }
}
