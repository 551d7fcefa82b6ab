// What each method's blocks spend of a budget of trained numbers for a square layer.

export const D = 32,
  BUDGETS = [96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024];

const SIDES = Array.from({ length: D }, (_, at) => at + 1);
/** @param {number} p */
const spent = (p) => Math.ceil(D / p) ** 2 * p;

/**
 * The smallest b that PEFT takes, one that divides both sides, whose circulant blocks stay within the budget.
 * @param {number} budget
 */
export const c3aBlock = (budget) => SIDES.find((b) => D % b === 0 && spent(b) <= budget) ?? D;

/**
 * The smallest p whose blocks stay within the budget beside two diagonals; of those that spend as much, the largest.
 * @param {number} budget
 */
export function cdvftBlock(budget) {
  const most = Math.max(...SIDES.map(spent).filter((numbers) => numbers + 2 * D <= budget));
  return SIDES.findLast((p) => spent(p) === most) ?? D;
}

/** @param {number} b */
export const c3aNumbers = (b) => spent(b);
/** @param {number} p */
export const cdvftNumbers = (p) => spent(p) + 2 * D;
