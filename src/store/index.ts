export { isObjectId, type ObjectId, objectPath } from './object-id.js';
export { ObjectStore, type StoreEntry } from './object-store.js';
export { ObjectWriter, type StoredObject } from './object-writer.js';
