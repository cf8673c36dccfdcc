import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { repositoryRoot } from "../support/repository.ts";
import { Enclave } from "./enclave.ts";
import { HEARTBEAT_PORT } from "./heartbeat.ts";
import { buildImage } from "./image.ts";
import { type BootPrograms, bootPrograms, skip } from "./programs.ts";
import { CASES, type CaseName, formatOutcome, parseOutcomes, PORT } from "./vsock-cases.ts";
import type { Traffic } from "./vsock-device.ts";
import { VsockPeer } from "./vsock-peer.ts";

/** What a socket of the transport takes in ahead, and so the longest packet of its peer. */
const ROOM_BYTES = 28_672;
/** Twice what four Nodes take. With 2048 the boot loader puts them over the tables of ACPI. */
const MEMORY_MIB = 2560;

describe("the transport over VSOCK of a guest", { skip, timeout: 600_000 }, () => {
  const folder = temporaryFolder("vsock");
  const vsockPath = join(folder.path, "vsock");
  let enclave: Enclave;
  let peer: VsockPeer;

  before(async () => {
    const programs = bootPrograms();
    const [newest, ...others] = programs.nodes.toReversed();
    const project = stageTransport(join(folder.path, "project"), others);
    const image = await buildImage(join(folder.path, "image"), project, programs, {
      script: "test/boot/vsock-guest-main.js",
      args: others.toReversed().map(({ major }) => `/app/nodes/${major}`),
      // The one of whose libraries the others need some.
      ...(newest === undefined ? {} : { node: newest.path }),
      modules: ["virtio_mmio", "vmw_vsock_virtio_transport", "vsock_loopback", "nsm"],
    });
    peer = await VsockPeer.listen(vsockPath);
    const options = { image, cid: 18, vsockPath, programs, memoryMib: MEMORY_MIB };
    enclave = await Enclave.start(options);
  });

  after(async () => {
    await enclave?.close();
    await peer?.close();
  });

  /** What a Node of the guest says against a case, once it has said anything. */
  async function complaint(node: number, name: CaseName): Promise<string | undefined> {
    const line = formatOutcome({ node, name }).slice(0, -1).replace("{", "\\{");
    await enclave.says(new RegExp(`${line}[^\n]*\n|node(s/${node})? has ended`));
    const outcomes = parseOutcomes(enclave.console);
    const outcome = outcomes.find((one) => one.node === node && one.name === name);
    return outcome === undefined ? "Node ended before" : outcome.error;
  }

  for (const { major } of skip === false ? bootPrograms().nodes : []) {
    describe(`under Node ${major}, without a warning`, () => {
      for (const name of CASES) {
        it(name, async () => {
          assert.equal(await complaint(major, name), undefined);
        });
      }
    });
  }

  it("went as the host expected", () => {
    assert.deepEqual(peer.failures, []);
  });

  it("took packets that no kernel breaks: at most 28 KiB, both ways", async () => {
    const socket = connect(vsockPath);
    await once(socket, "connect");
    socket.write("TRAFFIC\n");
    const traffic = new Map(JSON.parse(await text(socket)) as [number, Traffic][]);
    // The heartbeat is not the transport's.
    traffic.delete(HEARTBEAT_PORT);
    const most = (key: keyof Traffic) => Math.max(...[...traffic.values()].map((one) => one[key]));
    assert.equal(most("room"), ROOM_BYTES);
    // The host has more room, but this kernel sends no more ahead than it would take in. An older one is held by
    // the room of the parent's end, which on AWS is a socket of the transport too.
    assert.ok(most("longestToGuest") <= ROOM_BYTES);
    assert.equal(most("longestFromGuest"), ROOM_BYTES);
  });

  it("says to the host that nobody listens on a port of the guest", async () => {
    await assert.rejects(peer.dialGuest(PORT.nobody), { code: "closed" });
  });
});

/** The transport and its cases, with versions of Node: npm would pack those for minutes. */
function stageTransport(folder: string, nodes: BootPrograms["nodes"]): string {
  const parts = ["package.json", "dist/transport", "dist/test/boot"];
  for (const part of [...parts, "node_modules/koffi", "node_modules/@koromix"]) {
    cpSync(join(repositoryRoot, part), join(folder, part), { recursive: true });
  }
  for (const { major, path } of nodes) cpSync(path, join(folder, "nodes", String(major)));
  return folder;
}
