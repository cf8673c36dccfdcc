// Programs of Debian's packages, without installing them.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";

/** What {@link unpackPackages} runs. */
export const DEBIAN_TOOLS = ["apt-get", "dpkg"];

/** Unpacks packages into a folder, with what they need and this machine lacks; nothing on it changes. */
export function unpackPackages(packages, folder) {
  const lists = join(folder, "lists");
  mkdirSync(join(lists, "partial"), { recursive: true });
  const apt = ["-q", "-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${folder}`];
  run("apt-get", [...apt, "update"]);
  const simulated = [...apt, "install", "--simulate", "--no-install-recommends"];
  const plan = run("apt-get", [...simulated, ...packages]);
  const names = Array.from(plan.matchAll(/^Inst (\S+)/gm), ([, name]) => name);
  run("apt-get", [...apt, "download", ...names], { cwd: folder });
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".deb"))) {
    run("dpkg", ["-x", join(folder, name), folder]);
    rmSync(join(folder, name));
  }
  rmSync(lists, { recursive: true });
}
