/** Limits that one machine playing thousands of clients would meet, and they would not. */
import type { EnclaveLimits } from "sealrpc/enclave";
import type { ProxyLimits } from "sealrpc/proxy";

export const ENCLAVE_LIMITS: Partial<EnclaveLimits> = {
  maxSessions: 20_000,
  maxUnfinishedHandshakes: 20_000,
};

export const PROXY_LIMITS: Partial<ProxyLimits> = {
  maxConnections: 20_000,
  maxConnectionsPerAddress: 20_000,
  maxSessionsPerSecond: 100_000,
  maxEnclaveConnections: 256,
};
