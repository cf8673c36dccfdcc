// Boots enclave images in QEMU and runs the tests of test/boot against them (docs/image.md): gets kernel,
// busybox and QEMU from Debian's packages into .cache/enclave, once, and changes nothing of the machine.
// Arguments are for Node's test runner, for example --test-name-pattern=load.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installNodes } from "./nodes.mjs";
import { run } from "./run.mjs";

/** QEMU 11 is the first whose vhost-user device can stand for the security module. */
const SUITE = "trixie";
const BACKPORTS = "trixie-backports";
/** For programs whose output is read, in English. */
const OPTIONS = { timeout: 180_000, env: { ...process.env, LC_ALL: "C" } };

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, ".cache", "enclave");

let programs;
try {
  programs = install();
} catch (error) {
  console.log(`enclave: skipped: ${error.message}`);
  process.exit(0);
}
const tests = readdirSync(join(root, "dist", "test", "boot"))
  .filter((name) => name.endsWith(".test.js"))
  .map((name) => join("dist", "test", "boot", name))
  .sort();
// In a namespace of their own, if there can be one: nothing that a test starts outlives it.
const namespace = ["unshare", "-rpf", "--kill-child"];
const isNamespace = spawnSync(namespace[0], [...namespace.slice(1), "true"]).status === 0;
const [program, ...prefix] = [...(isNamespace ? namespace : []), process.execPath];
const { status } = spawnSync(
  program,
  [
    ...prefix,
    "--enable-source-maps",
    "--test",
    "--test-concurrency=1",
    "--test-reporter=spec",
    ...process.argv.slice(2),
    ...tests,
  ],
  {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, SEALRPC_BOOT: JSON.stringify(programs) },
  },
);
process.exit(status ?? 1);

/** Fills the cache, unless it is full, and says where things are in it. */
function install() {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`this is ${process.platform} on ${process.arch}, not linux on x64`);
  }
  const files = join(cache, "files");
  const complete = join(cache, "complete");
  if (!existsSync(complete)) {
    for (const tool of ["apt-get", "apt-cache", "dpkg-deb"]) {
      if (spawnSync(tool, ["--version"]).error) throw new Error(`${tool} is not installed`);
    }
    say("looking for packages");
    const packages = choose();
    rmSync(files, { recursive: true, force: true });
    mkdirSync(files, { recursive: true });
    for (const archive of fetch(packages)) run("dpkg-deb", ["-x", archive, files], OPTIONS);
    writeFileSync(
      complete,
      `${packages.map(({ name, sha256 }) => `${sha256} ${name}`).join("\n")}\n`,
    );
  }
  const libraries = join(files, "usr", "lib", "x86_64-linux-gnu");
  const boot = join(files, "boot");
  const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinuz-"));
  const share = join(files, "usr", "share");
  return {
    // With the libraries that it was built for, whatever this machine has.
    qemu: [
      join(libraries, "ld-linux-x86-64.so.2"),
      ...["--library-path", libraries, join(files, "usr", "bin", "qemu-system-x86_64")],
      ...["-L", join(share, "qemu"), "-L", join(share, "seabios")],
    ],
    kernel: join(boot, kernel),
    modules: join(files, "usr", "lib", "modules"),
    busybox: join(files, "usr", "bin", "busybox"),
    // Guests run them all.
    nodes: installNodes(say),
  };
}

/** Names, versions and hashes of the packages: the newest that the signed lists of Debian have. */
function choose() {
  const targets = ["indextargets", "--format", "$(REPO_URI)", "Identifier: Packages"];
  const sources = run("apt-get", targets, OPTIONS);
  const archive = sources.split("\n").find((uri) => /\/debian\/?$/.test(uri));
  if (archive === undefined) throw new Error("this machine has no sources of Debian's packages");
  mkdirSync(join(cache, "lists", "partial"), { recursive: true });
  const options = "[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
  writeFileSync(
    join(cache, "sources.list"),
    [SUITE, BACKPORTS].map((suite) => `deb ${options} ${archive} ${suite} main\n`).join(""),
  );
  apt("apt-get", ["update", "--error-on=any"]);
  const depends = apt("apt-cache", ["depends", "linux-image-cloud-amd64"]);
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  const install = ["install", "--simulate", "--no-install-recommends", "-t", BACKPORTS];
  const qemu = apt("apt-get", [...install, "qemu-system-x86"]);
  const wanted = [...qemu.matchAll(/^Inst (\S+) \((\S+)/gm)].map(
    ([, name, version]) => `${name}=${version}`,
  );
  const records = apt("apt-cache", ["show", "--no-all-versions", kernel, "busybox-static"])
    .concat("\n\n", apt("apt-cache", ["show", ...wanted]))
    .split(/\n\n+/);
  return records.filter(Boolean).map((record) => {
    const field = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(record)?.[1];
    return { name: field("Package"), version: field("Version"), sha256: field("SHA256") };
  });
}

/** The packages' files, by their hashes: of the cache, or downloaded. */
function fetch(packages) {
  const folder = join(cache, "packages");
  mkdirSync(folder, { recursive: true });
  const place = ({ sha256 }) => join(folder, `${sha256}.deb`);
  const isThere = (one) => existsSync(place(one)) && hashOf(place(one)) === one.sha256;
  const missing = packages.filter((one) => !isThere(one));
  if (missing.length > 0) {
    say(`downloading ${missing.length} packages`);
    const download = join(cache, "download");
    rmSync(download, { recursive: true, force: true });
    mkdirSync(download);
    apt(
      "apt-get",
      ["download", ...missing.map(({ name, version }) => `${name}=${version}`)],
      download,
    );
    for (const name of readdirSync(download)) {
      renameSync(join(download, name), join(folder, `${hashOf(join(download, name))}.deb`));
    }
  }
  for (const one of packages) {
    if (!isThere(one)) throw new Error(`${one.name} ${one.version} was not to be had`);
  }
  say("unpacking");
  return packages.map(place);
}

/** Runs a program of apt on lists and caches of its own. */
function apt(program, args, cwd = cache) {
  const settings = {
    "APT::Sandbox::User": "",
    "APT::Get::Assume-Yes": "true",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    "Debug::NoLocking": "true",
    "Dir::Cache": join(cache, "apt"),
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::Etc::sourcelist": join(cache, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State": join(cache, "state"),
    "Dir::State::Lists": join(cache, "lists"),
    // As if nothing were installed: everything that QEMU needs is wanted.
    "Dir::State::status": "/dev/null",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return run(program, [...options, ...args], { ...OPTIONS, cwd });
}

function hashOf(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function say(text) {
  console.log(`enclave: ${text} …`);
}
