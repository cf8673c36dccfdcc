/** What the user of a command must mend: the command ends with exit status 2. */
export class Misuse extends Error {
  override readonly name = "Misuse";
}
