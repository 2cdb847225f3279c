/** The line that the gate draws across a chart of that width, in pixels; its height is the caller's. */
export function gateLine(width: number) {
  return {
    x: { value: 0 },
    x2: { value: width },
    stroke: { value: 'currentColor' },
    strokeDash: { signal: '[6, 4]' },
  } as const;
}

/** A point whose kind is told by shape and colour both. */
export const KIND_SYMBOL = {
  shape: { scale: 'shape', field: 'kind' },
  fill: { scale: 'colour', field: 'kind' },
  size: { value: 64 },
} as const;
