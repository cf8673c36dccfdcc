/** `sealrpc release`: the commands around signed release manifests. */
import { Command } from "commander";
import { keygenCommand } from "./release-keygen.ts";
import { showCommand } from "./release-show.ts";
import { signCommand } from "./release-sign.ts";
import { verifyManifestCommand } from "./release-verify.ts";

const EXAMPLES = `
A release manifest is a signed list of a service's releases: version, measurements, and which one is
current. Clients that have it and the signer's public key accept "the current release", and need no
measurements of their own.

Examples:
  # once: a key, which stays with whoever publishes releases
  sealrpc release keygen signer.key

  # the first manifest, and each later one, from the same list
  sealrpc release sign releases.json --key signer.key --out notary.manifest --init
  sealrpc release sign releases.json --key signer.key --out notary.manifest

  # what a client would say of it
  sealrpc release verify notary.manifest --signer signer.key.pub --service notary.example.com

A policy names manifest and key instead of measurements:
  { "releaseManifest": { "manifestFile": "notary.manifest", "signerKeyFile": "signer.key.pub",
                         "service": "notary.example.com", "stateFile": "notary.state" } }`;

/** The command, to be registered under the program. */
export function releaseCommand(): Command {
  return new Command("release")
    .description("Sign, verify and show lists of a service's releases.")
    .helpCommand(false)
    .addHelpText("after", EXAMPLES)
    .addCommand(keygenCommand())
    .addCommand(signCommand())
    .addCommand(verifyManifestCommand())
    .addCommand(showCommand());
}
