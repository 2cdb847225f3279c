export { ChunkCache } from './chunk-cache.js';
export { type LayerEntry, type LayerObject, readLayerObject } from './layer-object.js';
export { type LayerSettings, StoredLayerWriter } from './layer-writer.js';
export type { StateBefore } from './masked-tensor.js';
export type { ObjectId } from './object-id.js';
export { ObjectStore, type StoreEntry } from './object-store.js';
export type { ObjectWriter, StoredObject } from './object-writer.js';
export { openDelta, openStoredLayer, type StoredLayer } from './stored-layer.js';
