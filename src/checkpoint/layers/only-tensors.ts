import type { Layer } from './layer.js';

/** The layer with only those of its tensors that `keeps` says yes to: the others are as if it had never changed them. */
export function onlyTensors(layer: Layer, keeps: (tensor: string) => boolean): Layer {
  const kept = <Entry>(entries: ReadonlyMap<string, Entry>) => new Map([...entries].filter(([name]) => keeps(name)));
  return {
    path: layer.path,
    masks: kept(layer.masks),
    xors: kept(layer.xors),
    values: kept(layer.values),
    added: kept(layer.added),
    readMask: (name, range) => layer.readMask(name, range),
    readDifference: (name, range) => layer.readDifference(name, range),
    readValues: (name, range) => layer.readValues(name, range),
    close: () => layer.close(),
  };
}
