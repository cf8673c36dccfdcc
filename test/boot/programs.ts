/** What a boot needs and this repository does not have: `npm run test:enclave` gets it and says where it is. */

export interface BootPrograms {
  /** QEMU, and what comes before the arguments of a machine. */
  readonly qemu: readonly string[];
  readonly kernel: string;
  readonly modules: string;
  readonly busybox: string;
  /** Versions of Node that guests run, the oldest first. */
  readonly nodes: readonly { readonly major: number; readonly path: string }[];
}

const given = process.env["SEALRPC_BOOT"];

/** For the option `skip` of tests. */
export const skip: string | false = given === undefined ? "needs npm run test:enclave" : false;

export function bootPrograms(): BootPrograms {
  return JSON.parse(given ?? "") as BootPrograms;
}
