/**
 * One exchange with the driver of the Nitro Security Module: an ioctl on a struct of two pointers
 * and two lengths. What calls libc is given, so that the layout can be tested without a device.
 */
import { MAX_REQUEST_BYTES } from "./request.ts";
import { MAX_RESPONSE_BYTES } from "./response.ts";

/** The part of libc that an exchange needs. */
export interface Libc {
  /** -1 for a failure, with its number in `errno`. */
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  errno(): number;
  addressOf(bytes: Uint8Array): bigint;
}

/** The response, or the error number of the refused ioctl. */
export type IoctlResult = { readonly response: Uint8Array } | { readonly errno: number };

/** _IOWR(0x0A, 0, 32 bytes) */
const NSM_REQUEST = 0xc0200a00;
/** EMSGSIZE of Linux, which the driver gives for a request of more bytes. */
const MESSAGE_TOO_LONG = 90;

/** Exchanges requests over one open descriptor, one at a time. */
export class NsmIoctl {
  readonly #libc: Libc;
  readonly #fd: number;
  // Invariant: the driver writes through raw addresses, so the buffers live as long as this object,
  // and the response always has the driver's maximum: it cuts a longer response without a word.
  readonly #request = Buffer.alloc(MAX_REQUEST_BYTES);
  readonly #response = Buffer.alloc(MAX_RESPONSE_BYTES);
  /** u64 each, little endian as both of the enclave's architectures: address and length, twice. */
  readonly #argument = Buffer.alloc(32);

  constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
  }

  /** Blocks for as long as the module takes: milliseconds, by the driver's limit two minutes. */
  exchange(request: Uint8Array): IoctlResult {
    if (request.length > MAX_REQUEST_BYTES) {
      return { errno: MESSAGE_TOO_LONG };
    }
    this.#request.set(request);
    this.#argument.writeBigUInt64LE(this.#libc.addressOf(this.#request), 0);
    this.#argument.writeBigUInt64LE(BigInt(request.length), 8);
    this.#argument.writeBigUInt64LE(this.#libc.addressOf(this.#response), 16);
    this.#argument.writeBigUInt64LE(BigInt(this.#response.length), 24);
    if (this.#libc.ioctl(this.#fd, NSM_REQUEST, this.#argument) < 0) {
      return { errno: this.#libc.errno() };
    }
    const written = this.#argument.readBigUInt64LE(24);
    if (written > BigInt(this.#response.length)) {
      return { errno: MESSAGE_TOO_LONG };
    }
    const response = Uint8Array.from(this.#response.subarray(0, Number(written)));
    this.#response.fill(0);
    return { response };
  }
}
