import { existsSync } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

/** Where a file system keeps its files. */
export type FileSystemKind = 'disk' | 'memory' | 'network';

/** A folder that birdbone writes to, and the file system that it is on. */
export interface FolderSpace {
  readonly use: 'working folder' | 'state folder' | 'temporary folder';
  readonly path: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** `ext4`; undefined where the system does not tell, or birdbone does not know it. */
  readonly type?: string;
  readonly kind: FileSystemKind;
  readonly writable: boolean;
}

/** By the magic number that Linux's statfs gives. Source: linux/magic.h, and the drivers outside of it. */
const LINUX_TYPES: ReadonlyMap<number, readonly [type: string, kind: FileSystemKind]> = new Map([
  [0xef53, ['ext4', 'disk']],
  [0x9123683e, ['btrfs', 'disk']],
  [0x58465342, ['xfs', 'disk']],
  [0x2fc12fc1, ['zfs', 'disk']],
  [0xf2f52010, ['f2fs', 'disk']],
  [0x794c7630, ['overlay', 'disk']],
  [0x4d44, ['vfat', 'disk']],
  [0x2011bab0, ['exfat', 'disk']],
  [0x01021994, ['tmpfs', 'memory']],
  [0x858458f6, ['ramfs', 'memory']],
  [0x6969, ['nfs', 'network']],
  [0x517b, ['smb', 'network']],
  [0xff534d42, ['cifs', 'network']],
  [0xfe534d42, ['smb2', 'network']],
  [0x01021997, ['9p', 'network']],
  [0x00c36400, ['ceph', 'network']],
  [0x0bd00bd0, ['lustre', 'network']],
  [0x65735546, ['fuse', 'network']],
]);

/** The space in the folders that birdbone writes to from a working folder: there, in its state, and in temporary files. */
export async function folderSpaces(folder: string): Promise<FolderSpace[]> {
  const states = [process.env['BIRDBONE_STATE'], 'out/.birdbone', '.birdbone'];
  const state = states
    .map((name) => path.resolve(folder, name ?? ''))
    .find((name) => name !== folder && existsSync(name));
  return Promise.all([
    spaceOf('working folder', folder),
    ...(state === undefined ? [] : [spaceOf('state folder', state)]),
    spaceOf('temporary folder', os.tmpdir()),
  ]);
}

async function spaceOf(use: FolderSpace['use'], folder: string): Promise<FolderSpace> {
  const { blocks, bsize, bavail, type: magic } = await statfs(folder);
  const [type, kind = 'disk'] = (process.platform === 'linux' ? LINUX_TYPES.get(magic) : undefined) ?? [];
  return {
    use,
    path: folder,
    totalBytes: blocks * bsize,
    freeBytes: bavail * bsize,
    ...(type !== undefined && { type }),
    kind,
    writable: await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    ),
  };
}
