/** Which waves a model has, tensor by tensor. */
interface ShownState {
  readonly wave: number;
  readonly tensors: readonly (readonly [tensor: string, wave: number])[];
}

/** `dense`, `wave 3`, or `wave 3, but 4 tensors at wave 1 and 2 dense`. */
export function stateText({ wave, tensors }: ShownState): string {
  const counts = new Map<number, number>();
  for (const [, at] of tensors) counts.set(at, (counts.get(at) ?? 0) + 1);
  const others = [...counts]
    .sort(([left], [right]) => left - right)
    .map(([at, count]) => `${count} ${count === 1 ? 'tensor' : 'tensors'} ${at === 0 ? 'dense' : `at wave ${at}`}`);
  const rest = wave === 0 ? 'dense' : `wave ${wave}`;
  return others.length === 0 ? rest : `${rest}, but ${others.join(' and ')}`;
}
