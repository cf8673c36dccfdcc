/** The notary's enclave and the host's proxy as real processes, and what a client of them needs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunningProgram } from "./processes.ts";

/** How the way differs from the shortest one. */
export interface NotaryWayOptions {
  /** More flags of the enclave. */
  readonly enclaveFlags?: readonly string[];
  /**
   * Called with the enclave's address before the proxy starts; gives the address that the proxy
   * is told instead. For a tee, or a host that is not honest.
   */
  readonly between?: (enclave: string, folder: string) => Promise<string>;
}

export class NotaryWay {
  /** For sockets and files of this way; removed with it. */
  readonly folder: string = mkdtempSync(join(tmpdir(), "notary-"));
  /** What clients of the enclave that runs now need. */
  readonly policyFile: string = join(this.folder, "policy.json");
  readonly enclaveAddress: string = `unix:${join(this.folder, "enclave.sock")}`;
  #running: { enclave: RunningProgram; proxy: RunningProgram } | undefined;
  #restarts = 0;
  #target = "127.0.0.1:0";

  readonly #enclaveFlags: readonly string[];

  private constructor(enclaveFlags: readonly string[]) {
    this.#enclaveFlags = enclaveFlags;
  }

  static async start({ enclaveFlags = [], between }: NotaryWayOptions = {}): Promise<NotaryWay> {
    const way = new NotaryWay(enclaveFlags);
    const enclave = await way.#startEnclave();
    const address = (await between?.(way.enclaveAddress, way.folder)) ?? way.enclaveAddress;
    way.#running = { enclave, proxy: await way.#startProxy(address) };
    return way;
  }

  get enclave(): RunningProgram {
    return this.#programs.enclave;
  }

  get proxy(): RunningProgram {
    return this.#programs.proxy;
  }

  /** Where clients connect. */
  get target(): string {
    return this.#target;
  }

  /** Starts another enclave in place of one that was killed: another key, another root. */
  async restartEnclave(): Promise<void> {
    this.#restarts++;
    this.#programs.enclave = await this.#startEnclave();
    // Until then the proxy backs off, and says that the enclave is away.
    await this.proxy.says(new RegExp(`(enclave away[^]*enclave reached[^]*){${this.#restarts}}`));
  }

  /** A client that has `file` notarized. */
  client(file: string, policyFile: string = this.policyFile): RunningProgram {
    return new RunningProgram("examples/notary/client.js", {
      args: ["--target", this.#target, "--policy", policyFile, file],
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.proxy.stop("SIGKILL"), this.enclave.stop("SIGKILL")]);
    rmSync(this.folder, { recursive: true });
  }

  get #programs(): { enclave: RunningProgram; proxy: RunningProgram } {
    if (!this.#running) throw new Error("the way has not started");
    return this.#running;
  }

  async #startEnclave(): Promise<RunningProgram> {
    const { policyFile, enclaveAddress } = this;
    const simulated = ["--attester", "simulator", "--write-policy", policyFile];
    const enclave = new RunningProgram("examples/notary/enclave.js", {
      args: ["--listen", enclaveAddress, ...simulated, ...this.#enclaveFlags],
    });
    await enclave.says(/listening on/);
    return enclave;
  }

  async #startProxy(enclave: string): Promise<RunningProgram> {
    const proxy = new RunningProgram("cli/main.js", {
      args: ["proxy", "--listen", this.#target, "--enclave", enclave],
    });
    const [, address = ""] = await proxy.says(/"address":"([^"]+)".*"msg":"listening"/);
    this.#target = address;
    return proxy;
  }
}
