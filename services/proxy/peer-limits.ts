/**
 * What each peer address may take: connections at once, and sessions a second (a token bucket).
 * Peers without an address, on a Unix socket, are not told apart and not limited here.
 */
import { isIPv6 } from "node:net";
import type { ProxyLimits } from "./limits.ts";

interface Peer {
  connections: number;
  tokens: number;
  refilledMs: number;
}

/** Seconds of its rate that a peer may spend at once. */
const BURST_SECONDS = 4;

/** Counts for all peers of one listener. */
export class PeerLimits {
  readonly #limits: ProxyLimits;
  readonly #peers = new Map<string, Peer>();

  constructor(limits: ProxyLimits) {
    this.#limits = limits;
  }

  /** Peers that are remembered. */
  get size(): number {
    return this.#peers.size;
  }

  /** Counts a connection; false when its address has too many. Each true takes one {@link release}. */
  admitConnection(address: string | undefined, nowMs: number): boolean {
    if (address === undefined) {
      return true;
    }
    const peer = this.#peer(address, nowMs);
    if (peer.connections >= this.#limits.maxConnectionsPerAddress) {
      return false;
    }
    peer.connections += 1;
    return true;
  }

  /** Counts a new session; false when its address opens them too fast. */
  admitSession(address: string | undefined, nowMs: number): boolean {
    if (address === undefined) {
      return true;
    }
    const peer = this.#peer(address, nowMs);
    this.#refill(peer, nowMs);
    if (peer.tokens < 1) {
      return false;
    }
    peer.tokens -= 1;
    return true;
  }

  /** A connection that was admitted is over. */
  release(address: string | undefined): void {
    const peer = address === undefined ? undefined : this.#peers.get(networkOf(address));
    if (peer !== undefined) {
      peer.connections -= 1;
    }
  }

  /** Forgets the peers about which there is nothing to remember. */
  sweep(nowMs: number): void {
    for (const [network, peer] of this.#peers) {
      this.#refill(peer, nowMs);
      if (peer.connections === 0 && peer.tokens >= this.#burst) {
        this.#peers.delete(network);
      }
    }
  }

  get #burst(): number {
    return BURST_SECONDS * this.#limits.maxSessionsPerSecond;
  }

  #peer(address: string, nowMs: number): Peer {
    const network = networkOf(address);
    let peer = this.#peers.get(network);
    if (peer === undefined) {
      peer = { connections: 0, tokens: this.#burst, refilledMs: nowMs };
      this.#peers.set(network, peer);
    }
    return peer;
  }

  #refill(peer: Peer, nowMs: number): void {
    const earned = ((nowMs - peer.refilledMs) / 1000) * this.#limits.maxSessionsPerSecond;
    peer.tokens = Math.min(this.#burst, peer.tokens + earned);
    peer.refilledMs = nowMs;
  }
}

/** Whoever has one IPv6 address has its whole /64, so that is what counts as one peer. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) {
    return mapped[1];
  }
  if (!isIPv6(address)) {
    return address;
  }
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill("0");
  const groups = [...left, ...zeros, ...right].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
