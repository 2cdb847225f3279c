import { expect, it } from 'vitest';
import { weightCheckText } from '../../src/cli/weight-check-report.js';

const sides = {
  recorded: { size: 10, sha256: 'a'.repeat(64) },
  found: { size: 12, sha256: 'b'.repeat(64) },
};
const f32 = (...shape: number[]) => ({ dtype: 'F32', shape });
const values = { fractionChanged: 0.25, relativeError: 0.012345, cosine: 0.99991 };

it('says what matches', () => {
  expect(weightCheckText({ tree: 'index', matches: true, files: 1, findings: [], dvc: [] })).toBe(
    '1 staged weight file matches .weight_hashes.json',
  );
  expect(weightCheckText({ tree: 'working tree', matches: true, files: 2, findings: [], dvc: [] })).toBe(
    '2 weight files match .weight_hashes.json',
  );
});

it('says of each file what changed and how far, and what to do', () => {
  const text = weightCheckText({
    tree: 'index',
    matches: false,
    files: 9,
    dvc: [],
    findings: [
      {
        path: 'a.safetensors',
        finding: 'changed',
        ...sides,
        metadataChanged: true,
        tensors: [
          { name: 'moved', finding: 'changed', recorded: f32(2, 3), found: f32(2, 3), values },
          { name: 'cast', finding: 'dtype', recorded: f32(2), found: { dtype: 'BF16', shape: [2] } },
          { name: 'grown', finding: 'shape', recorded: f32(2), found: f32(3) },
          { name: 'new', finding: 'added', found: f32() },
          { name: 'old', finding: 'removed', recorded: f32(1) },
          {
            name: 'woken',
            finding: 'changed',
            recorded: f32(4096),
            found: f32(4096),
            values: { fractionChanged: 1 / 4096, relativeError: null, cosine: null },
          },
        ],
      },
      { path: 'b.bin', finding: 'missing', ...sides },
      { path: 'c.bin', finding: 'unrecorded' },
      { path: 'd.bin', finding: 'refused', ...sides, unknown: 'it is a symbolic link' },
      { path: 'e.bin', finding: 'changed', ...sides, unknown: 'its tensors cannot be read' },
    ],
  });
  expect(text).toBe(`a.safetensors: changed, and not recorded
  moved  changed  F32 [2, 3]  relative error 0.0123, cosine 0.999910, 25.0 % of the values
  cast  changed  F32 [2] → BF16 [2]
  grown  changed  F32 [2] → F32 [3]
  new  added  F32 []
  old  removed  F32 [1]
  woken  changed  F32 [4096]  from all zeros, under 0.1 % of the values
  the file's own metadata, names, types or shapes changed
  sha256 aaaaaaaaaaaa, 10 bytes → bbbbbbbbbbbb, 12 bytes
b.bin: recorded, and not there
c.bin: not recorded
d.bin: recorded, and cannot be checked
  it is a symbolic link
e.bin: changed, and not recorded
  not known: its tensors cannot be read
  sha256 aaaaaaaaaaaa, 10 bytes → bbbbbbbbbbbb, 12 bytes

5 of 9 staged weight files differ from .weight_hashes.json.
If that is meant: birdbone hash --update && git add .weight_hashes.json
A recorded file that is to be in the commit: git add FILE
If it is not: git restore --staged -- FILE`);
});

it('lists twenty tensors of a file, and counts the others', () => {
  const tensors = Array.from({ length: 22 }, (_, i) => ({ name: `t${i}`, finding: 'added' as const, found: f32(1) }));
  const text = weightCheckText({
    tree: 'working tree',
    matches: false,
    files: 1,
    dvc: [],
    findings: [{ path: 'a.bin', finding: 'changed', ...sides, tensors }],
  });
  expect(text).toContain('  t19  added  F32 [1]\n  and 2 more tensors\n');
  expect(text).not.toContain('t20');
});
