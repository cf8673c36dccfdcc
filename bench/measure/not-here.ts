/** This machine lets no contender of a kind do what a load asks for, which is no fault. */
export class NotHere extends Error {}
