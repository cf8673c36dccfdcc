const LEAST_SLOTS = 16;
/** A table that is larger is given back when it is empty. */
const KEPT_SLOTS = 256;

/**
 * What a session keeps by number. A Map would do, if calls did not come and go by the million: when V8
 * cleans a Map's table, the old one keeps pointing to the new one (for iterators). A table that has
 * grown old enough to wait for a full collection then keeps its successors alive, and every call in
 * them, which made calls cost up to twice as much. Here nothing refers to what was removed.
 */
export class NumberTable<T> {
  /** Open addressing with linear probing; at least half of the slots are empty. */
  #numbers = new Uint32Array(LEAST_SLOTS);
  #items: (T | undefined)[] = emptySlots(LEAST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** `number`: below 2^32, and not in use. */
  add(number: number, item: T): void {
    if (2 * this.#size >= this.#items.length) this.#grow();
    this.#put(number, item);
    this.#size += 1;
  }

  get(number: number): T | undefined {
    return this.#items[this.#slotOf(number)];
  }

  /** Whether it was there. */
  delete(number: number): boolean {
    let hole = this.#slotOf(number);
    if (this.#items[hole] === undefined) return false;
    const last = this.#items.length - 1;
    // Moves up what would not be found any more behind the hole.
    for (let slot = (hole + 1) & last; this.#items[slot] !== undefined; slot = (slot + 1) & last) {
      const home = this.#homeOf(this.#numberAt(slot));
      if (((slot - home) & last) < ((slot - hole) & last)) continue;
      this.#numbers[hole] = this.#numberAt(slot);
      this.#items[hole] = this.#items[slot];
      hole = slot;
    }
    this.#items[hole] = undefined;
    this.#size -= 1;
    if (this.#size === 0 && this.#items.length > KEPT_SLOTS) this.#allocate(LEAST_SLOTS);
    return true;
  }

  /** All, in the order of their numbers; what is removed meanwhile is still among them. */
  values(): T[] {
    const found: [number, T][] = [];
    for (const [slot, item] of this.#items.entries()) {
      if (item !== undefined) found.push([this.#numberAt(slot), item]);
    }
    return found.toSorted(([one], [other]) => one - other).map(([, item]) => item);
  }

  #numberAt(slot: number): number {
    return this.#numbers[slot] ?? 0;
  }

  #slotOf(number: number): number {
    const last = this.#items.length - 1;
    let slot = this.#homeOf(number);
    while (this.#items[slot] !== undefined && this.#numbers[slot] !== number) {
      slot = (slot + 1) & last;
    }
    return slot;
  }

  /** Numbers that follow each other get slots far from each other (Fibonacci hashing). */
  #homeOf(number: number): number {
    return Math.imul(number, 0x9e37_79b1) >>> Math.clz32(this.#items.length - 1);
  }

  #put(number: number, item: T): void {
    const slot = this.#slotOf(number);
    this.#numbers[slot] = number;
    this.#items[slot] = item;
  }

  #grow(): void {
    const numbers = this.#numbers;
    const items = this.#items;
    this.#allocate(2 * items.length);
    for (const [slot, number] of numbers.entries()) {
      const item = items[slot];
      if (item !== undefined) this.#put(number, item);
    }
  }

  #allocate(slots: number): void {
    this.#numbers = new Uint32Array(slots);
    this.#items = emptySlots(slots);
  }
}

function emptySlots<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
