/**
 * An enclave that boots: a virtual machine with the image in it, the simulated security module behind its
 * device, and the host's proxy in front of it, each a program of this repository in a process of its own.
 */
import { readFileSync } from "node:fs";
import type { PolicyOptions } from "../../services/client/index.ts";
import { RunningProgram } from "../support/processes.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Image } from "./image.ts";
import type { MachineSetup } from "./machine-process.ts";
import type { BootPrograms } from "./programs.ts";

/** The port of every test's program in the enclave. */
const PORT = 5000;
const MEMORY_MIB = 768;

export interface EnclaveOptions {
  /** The host's end of its VSOCK, a path for files of this enclave's alone. */
  readonly vsockPath: string;
  readonly image: Image;
  readonly cid: number;
  readonly programs: BootPrograms;
  /** 768 by default. */
  readonly memoryMib?: number;
}

export class Enclave {
  /** What admits this enclave: the measurements of its image, and the simulator's root. */
  readonly policy: PolicyOptions;
  /** Where clients connect: the proxy. */
  readonly target: string;
  readonly heartbeat: Heartbeat;
  readonly #setup: MachineSetup;
  readonly #module: RunningProgram;
  readonly #proxy: RunningProgram;
  #machine: RunningProgram;

  private constructor(parts: {
    policy: PolicyOptions;
    target: string;
    setup: MachineSetup;
    module: RunningProgram;
    proxy: RunningProgram;
    heartbeat: Heartbeat;
  }) {
    this.policy = parts.policy;
    this.target = parts.target;
    this.#setup = parts.setup;
    this.#module = parts.module;
    this.#proxy = parts.proxy;
    this.heartbeat = parts.heartbeat;
    this.#machine = startMachine(parts.setup);
  }

  /** Starts everything; the machine then boots for a while. */
  static async start({
    vsockPath,
    image,
    cid,
    programs,
    memoryMib = MEMORY_MIB,
  }: EnclaveOptions): Promise<Enclave> {
    const [nsmPath, policyFile] = [`${vsockPath}.nsm`, `${vsockPath}.policy`];
    const simulate = ["nsm", "simulate", "--socket", nsmPath, "--image", image.path];
    const module = new RunningProgram("cli/main.js", {
      args: simulate.concat("--write-policy", policyFile),
    });
    const proxy = new RunningProgram("cli/main.js", {
      args: ["proxy", "--listen", "127.0.0.1:0", "--enclave", `vsock+uds:${vsockPath}:${PORT}`],
    });
    const heartbeat = await Heartbeat.listen(vsockPath);
    await module.says(/"listening"/);
    const [, target = ""] = await proxy.says(/"address":"([^"]+)".*"listening"/);
    const simulated = JSON.parse(readFileSync(policyFile, "utf8")) as PolicyOptions;
    const policy = { ...simulated, referenceValues: [image.measurements] };
    const { kernel, ramdisks, commandLine } = image;
    const machine = { kernel, ramdisks, commandLine, memoryMib };
    const setup = { ...machine, qemu: programs.qemu, cid, vsockPath, nsmPath };
    return new Enclave({ policy, target, setup, module, proxy, heartbeat });
  }

  /** Waits until the program in the enclave listens, and the proxy has found it. */
  async ready(): Promise<void> {
    await this.#machine.says(/listening on vsock:/);
    await this.#proxy.says(/"enclave reached"/);
  }

  /** What the guest has written on its console. */
  get console(): string {
    return this.#machine.stdout;
  }

  /** Waits until the guest has written that; throws when the machine ends before. */
  async says(pattern: RegExp): Promise<void> {
    await this.#machine.says(pattern);
  }

  /** @throws Error with what the guest and QEMU said, when the machine has ended. */
  async ended(): Promise<never> {
    const { status, stdout, stderr } = await this.#machine.finished;
    throw new Error(`the machine ended with status ${status}: ${stderr}\n${stdout.slice(-2000)}`);
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    await this.#machine.stop();
  }

  /** Starts the machine again, after its end. */
  boot(): void {
    this.#machine = startMachine(this.#setup);
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await Promise.all([
      this.#machine.stop(),
      this.#proxy.stop("SIGKILL"),
      this.#module.stop(),
      this.heartbeat.close(),
    ]);
  }
}

function startMachine(setup: MachineSetup): RunningProgram {
  return new RunningProgram("test/boot/machine-process.js", {
    args: [JSON.stringify(setup)],
    input: true,
  });
}
