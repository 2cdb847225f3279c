import { mkdtempSync, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FolderSpace } from '../../src/cli/file-systems.js';
import { describeMachine, linuxFeatures, type MachineReport, macosFeatures } from '../../src/cli/machine.js';
import { deviceFindings, machineFindings } from '../../src/cli/machine-findings.js';

const SPACE: FolderSpace = {
  use: 'working folder',
  path: '/work',
  totalBytes: 1e12,
  freeBytes: 1e11,
  kind: 'disk',
  type: 'ext4',
  writable: true,
};
const MACHINE: MachineReport = {
  node: { version: '22.1.0', supported: true },
  platform: 'linux-x64',
  cpu: { model: 'A CPU', threads: 8, features: ['avx2', 'fma'] },
  memory: { totalBytes: 16e9, freeBytes: 8e9 },
  disk: { path: '/work', totalBytes: 1e12, freeBytes: 1e11 },
  folders: [SPACE],
};

describe('describeMachine', () => {
  it('says what the system says of the folders that are written to', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-machine-'));
    try {
      const { folders, disk } = await describeMachine(folder);
      expect(folders.map(({ use, path: at, writable }) => [use, at, writable])).toEqual([
        ['working folder', folder, true],
        ['temporary folder', tmpdir(), true],
      ]);
      const { blocks, bsize } = await statfs(folder);
      expect(disk).toMatchObject({ path: folder, totalBytes: blocks * bsize });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.skipIf(process.platform !== 'linux')('knows a file system in memory on Linux', async () => {
    const [working] = (await describeMachine('/dev/shm')).folders;
    expect(working).toMatchObject({ type: 'tmpfs', kind: 'memory' });
  });

  it('reads the features of processors', () => {
    expect(linuxFeatures('model\t: 7\nflags\t\t: fpu sha_ni avx2 fma avx512f sse\nflags\t: amx_bf16\n')).toEqual([
      'avx2',
      'fma',
      'avx512f',
      'sha_ni',
    ]);
    expect(linuxFeatures('Features\t: fp asimd evtstrm aes sha1 sha2 sve\n')).toEqual(['asimd', 'sve', 'sha2']);
    expect(linuxFeatures('')).toEqual([]);
    expect(
      macosFeatures('machdep.cpu.features: FPU VME SSE FMA AVX1.0\nmachdep.cpu.leaf7_features: RDWRFSGS AVX2 BMI2\n'),
    ).toEqual(['avx2', 'fma']);
    expect(
      macosFeatures('hw.optional.AdvSIMD: 1\nhw.optional.arm.FEAT_SHA256: 1\nhw.optional.arm.FEAT_SME: 0\n'),
    ).toEqual(['asimd', 'sha2']);
    expect(macosFeatures('hw.optional.AdvSIMD: 0\n')).toEqual([]);
  });
});

describe('machineFindings', () => {
  const statusesOf = (changes: Partial<MachineReport>) =>
    machineFindings({ ...MACHINE, ...changes }).map(({ id, status, fix }) => [
      id,
      status,
      fix === undefined ? '' : 'fix',
    ]);

  it('is content with a machine that has what it takes', () => {
    expect(machineFindings(MACHINE)).toEqual([
      { id: 'node', status: 'ok', what: '22.1.0, linux-x64' },
      { id: 'cpu', status: 'ok', what: 'A CPU, 8 threads (avx2 fma)' },
      { id: 'memory', status: 'ok', what: '8.00 GB free of 16.0 GB' },
      { id: 'working-folder', status: 'ok', what: '100 GB free of 1.00 TB at /work, ext4' },
    ]);
  });

  it('says what it lacks, with a fix', () => {
    expect(
      statusesOf({
        node: { version: '18.0.0', supported: false },
        cpu: { model: 'old', threads: 1, features: ['sha_ni'] },
        memory: { totalBytes: 2e9, freeBytes: 5e8 },
        folders: [
          { ...SPACE, freeBytes: 1e6 },
          { ...SPACE, writable: false },
          { ...SPACE, kind: 'memory', type: 'tmpfs' },
          { ...SPACE, use: 'state folder', kind: 'network', type: 'nfs' },
          { ...SPACE, use: 'temporary folder', kind: 'memory', type: 'tmpfs' },
        ],
      }),
    ).toEqual([
      ['node', 'fail', 'fix'],
      ['cpu', 'warn', 'fix'],
      ['memory', 'warn', 'fix'],
      ['working-folder', 'warn', 'fix'],
      ['working-folder', 'warn', 'fix'],
      ['working-folder', 'warn', 'fix'],
      ['state-folder', 'warn', 'fix'],
      ['temporary-folder', 'ok', ''],
    ]);
  });

  it('does not judge a processor that it knows nothing about', () => {
    expect(statusesOf({ cpu: { model: 'x', threads: 2, features: [] } })[1]).toEqual(['cpu', 'ok', '']);
  });
});

describe('deviceFindings', () => {
  it('names the device in use, software in the place of a GPU, and what is missing', () => {
    const devices = [
      { name: 'webgpu', available: true, description: 'llvmpipe', software: true },
      {
        name: 'cuda',
        available: false,
        description: 'CUDA',
        reason: 'not installed.',
        suggestions: ['Install it', 'or not'],
      },
      { name: 'cpu', available: true, description: 'WASM' },
    ];
    const chosen = {
      name: 'cpu',
      fastPaths: ['matrix products'],
      notices: ['It is slow: very. Install the fast one. Now.'],
    };
    expect(deviceFindings(devices, chosen)).toEqual([
      {
        id: 'webgpu',
        status: 'warn',
        what: 'llvmpipe, in software: slow, used only when named',
        fix: "Install your GPU's driver, where there is a GPU.",
      },
      { id: 'cuda', status: 'absent', what: 'not installed.', fix: 'Install it' },
      { id: 'cpu', status: 'ok', what: 'WASM, in use; fast: matrix products' },
      { id: 'speed', status: 'warn', what: 'It is slow: very.', fix: 'Install the fast one. Now.' },
    ]);
  });
});
