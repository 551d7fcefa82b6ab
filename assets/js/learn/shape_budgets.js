// What each method's blocks spend of a budget of trained numbers for a square layer.

export const D = 32,
  BUDGETS = [96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024];

const SIDES = Array.from({ length: D }, (_, at) => at + 1);

/**
 * The numbers of the circulant blocks of p x p that cover the layer.
 * @param {number} p
 */
export const blockNumbers = (p) => Math.ceil(D / p) ** 2 * p;

/**
 * All b that PEFT takes, those that divide both sides, whose circulant blocks stay within the budget, from the smallest on.
 * No b has all matrices of another: a circulant of 32 is none of four blocks of 16.
 * @param {number} budget
 */
export const c3aSides = (budget) => SIDES.filter((b) => D % b === 0 && blockNumbers(b) <= budget);

/**
 * The b of them that spends most.
 * @param {number} budget
 */
export const c3aBlock = (budget) => c3aSides(budget)[0] ?? D;

/**
 * The smallest p whose blocks stay within the budget beside two diagonals; of those that spend as much, the largest.
 * @param {number} budget
 */
export function cdvftBlock(budget) {
  const most = Math.max(...SIDES.map(blockNumbers).filter((numbers) => numbers + 2 * D <= budget));
  return SIDES.findLast((p) => blockNumbers(p) === most) ?? D;
}

/**
 * That p, and all that divide both sides within the budget: what is tried for a given change.
 * @param {number} budget
 */
export const cdvftSides = (budget) => [
  ...new Set([cdvftBlock(budget), ...SIDES.filter((p) => D % p === 0 && blockNumbers(p) + 2 * D <= budget)]),
];

/** @param {number} p */
export const cdvftNumbers = (p) => blockNumbers(p) + 2 * D;
