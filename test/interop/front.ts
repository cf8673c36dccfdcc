/**
 * Load balancers in front of two hosts, as the files of deploy/ set them up. In the network namespace
 * that scripts/interop.mjs makes, the addresses of those files exist; only paths are put in place.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { AttestedChannel, type Policy, parsePolicyFile } from "../../services/client/index.ts";
import { RunningProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";
import { selfSigned } from "../support/self-signed.ts";

/** What scripts/interop.mjs found: where a program is, or why it is nowhere. */
export type InstalledFronts = Readonly<
  Record<"debian" | "envoy", { readonly folder?: string; readonly absent?: string }>
>;

/** A kind of load balancer: its file, and how the program is started with it. */
export interface FrontKind {
  readonly name: string;
  readonly absent: string | undefined;
  /** In deploy/. */
  readonly file: string;
  /** Whether it ends TLS. */
  readonly tls: boolean;
  /** Whether it leaves a host whose proxy says NOT_SERVING. */
  readonly asksForHealth: boolean;
  /** The file with its paths in `folder`. */
  readonly adapt: (text: string, folder: string) => string;
  readonly command: (file: string, folder: string) => readonly string[];
}

/** Each kind that deploy/ has a file for. */
export function frontKinds({ debian, envoy }: InstalledFronts): readonly FrontKind[] {
  return [
    {
      name: "HAProxy",
      absent: debian.absent,
      file: "haproxy.cfg",
      tls: false,
      asksForHealth: true,
      adapt: (text) => text,
      command: (file) => [join(debian.folder ?? "", "usr", "sbin", "haproxy"), "-db", "-f", file],
    },
    {
      name: "nginx",
      absent: debian.absent,
      file: "nginx.conf",
      tls: true,
      asksForHealth: false,
      adapt: (text, folder) =>
        replaced(replaced(text, "/etc/nginx/", `${folder}/`), "http {", nginxPaths(folder)),
      command: (file, folder) => [
        join(debian.folder ?? "", "usr", "sbin", "nginx"),
        "-p",
        folder,
        "-c",
        file,
        "-g",
        // In a namespace of users nobody else exists whom its workers could become.
        `user root root; daemon off; master_process off; pid ${folder}/pid; error_log stderr;`,
      ],
    },
    {
      name: "Envoy",
      absent: envoy.absent,
      file: "envoy.yaml",
      tls: true,
      asksForHealth: true,
      adapt: (text, folder) => replaced(text, "/etc/envoy/", `${folder}/`),
      command: (file) => {
        const quiet = ["--log-level", "warning", "--concurrency", "2", "--use-dynamic-base-id"];
        return [join(envoy.folder ?? "", "envoy", "_bin", "envoy"), "-c", file, ...quiet];
      },
    },
  ];
}

/** A running load balancer, two hosts behind it, and one enclave behind both. */
export class Front {
  readonly hosts: RunningProgram[] = [];
  readonly #folder: string = mkdtempSync(join(tmpdir(), "front-"));
  readonly #kind: FrontKind;
  readonly #libraries: string;
  readonly #tls = selfSigned("localhost");
  #enclave: RunningProgram | undefined;
  #program: ChildProcess | undefined;
  #output = "";

  private constructor(kind: FrontKind, debian: string | undefined) {
    this.#kind = kind;
    this.#libraries = debian === undefined ? "" : librariesOf(debian);
  }

  static async start(kind: FrontKind, { debian }: InstalledFronts): Promise<Front> {
    const front = new Front(kind, debian.folder);
    try {
      await front.#startEnclave();
      for (const index of [0, 1]) {
        await front.startHost(index);
        await front.hosts[index]?.says(/enclave reached/);
      }
      await front.#startProgram();
    } catch (error) {
      await front.close();
      throw error;
    }
    return front;
  }

  /** What it said, for a test that failed. */
  get output(): string {
    return this.#output.slice(-2000);
  }

  /** Starts a host's proxy, by default with a way to the enclave. */
  async startHost(index: number, enclave: string = `unix:${this.#folder}/enclave`): Promise<void> {
    const listen = `10.0.0.1${index + 1}:8443`;
    const flags = ["--listen", listen, "--enclave", enclave];
    const balanced = ["--max-connections-per-address", "1024", "--max-sessions-per-second", "1000"];
    const host = new RunningProgram("cli/main.js", { args: ["proxy", ...flags, ...balanced] });
    await host.says(/"msg":"listening"/);
    this.hosts[index] = host;
  }

  /** A client's channel through it. */
  channel(): AttestedChannel {
    const ca = Buffer.from(this.#tls.cert);
    return new AttestedChannel("127.0.0.1:443", {
      policy: this.#policy,
      credentials: this.#kind.tls ? credentials.createSsl(ca) : credentials.createInsecure(),
      channelOptions: { "grpc.ssl_target_name_override": "localhost" },
    });
  }

  async close(): Promise<void> {
    if (this.#program?.exitCode === null) {
      this.#program.kill("SIGKILL");
      await once(this.#program, "close");
    }
    for (const program of [...this.hosts, this.#enclave]) await program?.stop("SIGKILL");
    rmSync(this.#folder, { recursive: true });
  }

  get #policy(): Policy {
    return parsePolicyFile(readFileSync(join(this.#folder, "policy.json"), "utf8"));
  }

  async #startEnclave(): Promise<void> {
    const args = ["sealed", `unix:${this.#folder}/enclave`, join(this.#folder, "policy.json")];
    this.#enclave = new RunningProgram("test/interop/test-service-main.js", { args });
    await this.#enclave.says(/listening/);
  }

  async #startProgram(): Promise<void> {
    const folder = this.#folder;
    mkdirSync(join(folder, "temporary"));
    writeFileSync(join(folder, "tls.crt"), this.#tls.cert);
    writeFileSync(join(folder, "tls.key"), this.#tls.key);
    const file = join(folder, this.#kind.file);
    const text = readFileSync(join(repositoryRoot, "deploy", this.#kind.file), "utf8");
    writeFileSync(file, this.#kind.adapt(text, folder));
    const [command = "", ...args] = this.#kind.command(file, folder);
    const env = { ...process.env, LD_LIBRARY_PATH: this.#libraries };
    const program = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#program = program;
    for (const stream of [program.stdout, program.stderr]) {
      stream.setEncoding("utf8").on("data", (said: string) => (this.#output += said));
    }
    while (!(await accepts(443))) {
      if (program.exitCode !== null) throw new Error(`${this.#kind.name}: ${this.#output}`);
    }
  }
}

/** Replaces every occurrence; the file must have one. */
function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`${from} does not occur`);
  return text.replaceAll(from, to);
}

/** Debian's nginx keeps temporary files and a log where only the system may write. */
function nginxPaths(folder: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const paths = kinds.map((kind) => `${kind}_temp_path ${folder}/temporary/${kind};`);
  return ["http {", "access_log off;", ...paths].join("\n");
}

/** Where the libraries are that were unpacked beside the programs. */
function librariesOf(folder: string): string {
  const lib = join(folder, "usr", "lib");
  return readdirSync(lib)
    .map((name) => join(lib, name))
    .join(":");
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => setTimeout(resolve, 20, false));
  });
}
