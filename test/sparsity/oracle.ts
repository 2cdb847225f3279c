/** Which of `values` stay when the `removed` smallest go, equal ones by index: sorting of plain objects, nothing clever. */
export function keepOracle(values: readonly number[], removed: number): boolean[] {
  const order = values.map((value, index) => ({ value, index })).sort((a, b) => a.value - b.value || a.index - b.index);
  const gone = new Set(order.slice(0, removed).map((entry) => entry.index));
  return values.map((_, index) => !gone.has(index));
}
