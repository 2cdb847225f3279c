import { execFileSync } from 'node:child_process';
import { expect, it, onTestFinished } from 'vitest';
import { parseLfsPointer } from '../../src/repository/lfs-pointer.js';
import { makeGitRepository, programMissing } from '../fixtures/git-repository.js';

const OID = '4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393';
/** The example of git-lfs's docs/spec.md. */
const EXAMPLE = `version https://git-lfs.github.com/spec/v1\noid sha256:${OID}\nsize 12345\n`;

const parse = (text: string) => parseLfsPointer(Buffer.from(text));

it("reads the example of git-lfs's specification", () => {
  expect(parse(EXAMPLE)).toEqual({ sha256: OID, size: 12_345 });
  expect(parse(EXAMPLE.trimEnd())).toEqual({ sha256: OID, size: 12_345 });
  expect(parse(EXAMPLE.replace('oid', `ext-0-foo sha256:${'b'.repeat(64)}\noid`))).toEqual({
    sha256: OID,
    size: 12_345,
  });
});

it.each([
  ['nothing', ''],
  ['text before it', ` ${EXAMPLE}`],
  ['text behind it', `${EXAMPLE}more`],
  ['another version', EXAMPLE.replace('v1', 'v2')],
  ['a version of elsewhere', EXAMPLE.replace('git-lfs.github.com', 'example.org')],
  ['no size', EXAMPLE.replace('size 12345\n', '')],
  ['a size that is none', EXAMPLE.replace('12345', '-1')],
  ['a size beyond 2^53', EXAMPLE.replace('12345', '9999999999999999')],
  ['a size with a leading zero', EXAMPLE.replace('12345', '012345')],
  ['an oid in capitals', EXAMPLE.replace('4d7a', '4D7A')],
  ['two oids', EXAMPLE.replace('size', `oid sha256:${'0'.repeat(64)}\nsize`)],
  ['its lines in another order', EXAMPLE.replace(/(oid.*\n)(size.*\n)/, '$2$1')],
  ['more bytes than git-lfs takes', `${EXAMPLE}${'\n'.repeat(1024)}`],
])('takes for content what has %s', (_, text) => {
  expect(parse(text)).toBeUndefined();
});

const missing = programMissing('git-lfs');
it.skipIf(missing !== undefined)(`reads what git-lfs writes (${missing ?? 'git-lfs pointer'})`, () => {
  const { root, remove } = makeGitRepository();
  onTestFinished(remove);
  const written = execFileSync('git', ['lfs', 'clean', 'x.bin'], { input: 'hello\n', encoding: 'utf8', cwd: root });
  // sha256 of "hello\n", by sha256sum.
  expect(parse(written)).toEqual({
    sha256: '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03',
    size: 6,
  });
});
