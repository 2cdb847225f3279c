import path from 'node:path';

/** An object's name: the sha256 of its file's bytes, 64 lower-case hex digits. */
export type ObjectId = string;

const ID = /^[0-9a-f]{64}$/;

export function isObjectId(text: string): text is ObjectId {
  return ID.test(text);
}

/**
 * Where an object lies in its store's folder: in a folder of its first two digits, so that no folder has more than a few
 * thousand names.
 */
export function objectPath(id: ObjectId): string {
  return path.join(id.slice(0, 2), id);
}
