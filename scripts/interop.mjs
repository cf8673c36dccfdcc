// Runs gRPC's official interoperability suite (docs/interop.md): installs the clients and the server
// whose toolchains are here, and starts the test in a network namespace of its own, since the
// official servers listen on all addresses. Arguments: --write-table, and what Node's test runner
// takes, for example --test-name-pattern=Java. Then grpcurl through the sidecar.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const GRPCURL = "v1.9.4";
const GRPC_GO = "v1.85.0";
const GRPC_JAVA = "1.79.0";
const GRPCIO = "1.85.1";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const protos = join(root, "test", "interop", "proto");
const cache = join(root, ".cache", "interop");

const namespace = ["-rn", "-n"].find(
  (flag) => spawnSync("unshare", [flag, "ip", "link", "set", "lo", "up"]).status === 0,
);
if (namespace === undefined) {
  console.log("interop: skipped, because network namespaces cannot be made here");
  process.exit(0);
}

const installed = { go: installGo(), java: installJava(), python: installPython() };
const grpcurl = installGrpcurl();
const absent = Object.entries({ ...installed, grpcurl }).filter(
  ([, { absent }]) => absent !== undefined,
);
for (const [name, { absent: reason }] of absent) console.log(`interop: without ${name}: ${reason}`);

const ours = ["--write-table"];
const given = process.argv.slice(2);
const { status } = spawnSync(
  "unshare",
  [
    namespace,
    ...["sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
    ...[
      process.execPath,
      "--enable-source-maps",
      "--test-reporter=spec",
      ...given.filter((arg) => !ours.includes(arg)),
    ],
    join("dist", "test", "interop", "interop.test.js"),
    ...given.filter((arg) => ours.includes(arg)),
  ],
  {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, SEALRPC_INTEROP: JSON.stringify(installed) },
  },
);
const { status: grpcurlStatus } = spawnSync(
  process.execPath,
  [
    ...["--enable-source-maps", "--test-reporter=spec"],
    join("dist", "test", "interop", "grpcurl.test.js"),
  ],
  { cwd: root, stdio: "inherit" },
);
process.exit((status ?? 1) || (grpcurlStatus ?? 1));

function installGo() {
  return install(`grpc-go-${GRPC_GO}`, ["go"], (folder) => {
    run("go", ["install", `google.golang.org/grpc/interop/client@${GRPC_GO}`], { GOBIN: folder });
    run("go", ["install", `google.golang.org/grpc/interop/server@${GRPC_GO}`], { GOBIN: folder });
  });
}

function installGrpcurl() {
  return install(`grpcurl-${GRPCURL}`, ["go"], (folder) => {
    const command = `github.com/fullstorydev/grpcurl/cmd/grpcurl@${GRPCURL}`;
    run("go", ["install", command], { GOBIN: folder });
  });
}

function installJava() {
  return install(`grpc-java-${GRPC_JAVA}`, ["java", "mvn"], (folder) => {
    const dependency =
      "<groupId>io.grpc</groupId><artifactId>grpc-interop-testing</artifactId>" +
      `<version>${GRPC_JAVA}</version>`;
    const pom = join(folder, "pom.xml");
    writeFileSync(
      pom,
      "<project><modelVersion>4.0.0</modelVersion>" +
        "<groupId>sealrpc</groupId><artifactId>interop</artifactId><version>0</version>" +
        `<dependencies><dependency>${dependency}</dependency></dependencies></project>\n`,
    );
    const lib = `-DoutputDirectory=${join(folder, "lib")}`;
    run("mvn", ["-B", "-q", "-f", pom, "dependency:copy-dependencies", lib]);
  });
}

function installPython() {
  const result = install(`grpcio-${GRPCIO}`, ["python3"], (folder) => {
    run("python3", ["-m", "venv", folder]);
    const packages = [`grpcio==${GRPCIO}`, `grpcio-tools==${GRPCIO}`];
    const quiet = ["--quiet", "--disable-pip-version-check"];
    run(join(folder, "bin", "python"), ["-m", "pip", "install", ...quiet, ...packages]);
  });
  if (result.absent !== undefined) return result;
  // Anew each time, for the .proto files may have changed.
  const gen = join(result.folder, "gen");
  rmSync(gen, { recursive: true, force: true });
  mkdirSync(gen);
  const files = readdirSync(protos, { recursive: true }).filter((name) => name.endsWith(".proto"));
  const out = [`-I${protos}`, `--python_out=${gen}`, `--grpc_python_out=${gen}`];
  run(join(result.folder, "bin", "python"), ["-m", "grpc_tools.protoc", ...out, ...files]);
  return result;
}

/** Fills a folder of the cache, once; or says why it cannot. */
function install(name, toolchains, work) {
  for (const tool of toolchains) {
    const { error } = spawnSync(tool, [tool === "go" ? "version" : "--version"]);
    if (error) return { absent: `${tool} is not installed` };
  }
  const folder = join(cache, name);
  const complete = join(folder, "complete");
  if (existsSync(complete)) return { folder };
  console.log(`interop: installing ${name} …`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    work(folder);
  } catch (error) {
    return { absent: error.message };
  }
  writeFileSync(complete, "");
  return { folder };
}

function run(command, args, env = {}) {
  const { status, error, stderr } = spawnSync(command, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", 2, "pipe"],
    encoding: "utf8",
  });
  if (error || status !== 0) {
    const said = (error?.message ?? stderr).trim().split("\n").at(-1);
    throw new Error(`\`${[command, ...args].join(" ")}\` failed: ${said}`);
  }
}
