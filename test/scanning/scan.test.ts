import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { RULES, sarifLog, scanPaths } from '../../src/scanning/index.js';
import { BY_NAME, BY_OPCODE } from '../fixtures/hostile-pickles.js';
import { bytes, call, dict, pickle, text, u32 } from '../fixtures/pickle-assembler.js';
import { fileBytes, patterned, temporaryFolder, u8 } from '../fixtures/safetensors-file.js';
import { torchMembers, torchZip } from '../fixtures/torch-file.js';
import { layOutZip, zipBytes } from '../fixtures/zip-file.js';
import { sharedMissing, sharedModel } from '../shared.js';

const SAVED = fileURLToPath(new URL('../fixtures/torch', import.meta.url));
const EVIL = pickle(call('os', 'system', text('id')));

function written(name: string, content: Uint8Array | string): string {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, content);
  return file;
}

async function rulesOf(file: string): Promise<string[]> {
  const { files } = await scanPaths([file]);
  return files.flatMap(({ findings }) => findings.map(({ rule }) => rule));
}

describe.each(Object.entries({ ...BY_NAME, ...BY_OPCODE }))('%s', (_, { bytes: hostile, names, known = false }) => {
  it.each(['alone', 'in an archive'])('is found %s', async (where) => {
    const file = written('model.bin', where === 'alone' ? hostile : torchZip(hostile));
    const { files, clean, counts } = await scanPaths([file]);
    expect(clean).toBe(false);
    const messages = files[0]!.findings.map(({ message }) => message).join('\n');
    if (known) {
      expect(messages).toContain(names);
      expect(counts.error).toBeGreaterThan(0);
    }
  });
});

describe('a scan', () => {
  it('says what it finds where, in the order of the file, and does not stop at the first', async () => {
    const second = call('builtins', 'eval', text('1'));
    const file = written('model.pt', torchZip(pickle(dict([text('a'), call('os', 'system')], [text('b'), second]))));
    const { files } = await scanPaths([file]);
    expect(files[0]!.findings.map(({ rule, level, member }) => [rule, level, member])).toEqual([
      ['pickle-dangerous-name', 'error', 'archive/data.pkl'],
      ['pickle-dangerous-name', 'error', 'archive/data.pkl'],
      ['pickle-call', 'error', 'archive/data.pkl'],
      ['pickle-call', 'error', 'archive/data.pkl'],
    ]);
    const { message, byteOffset } = files[0]!.findings[0]!;
    // PROTO, EMPTY_DICT, MARK and the key come before it.
    expect(message).toBe('"archive/data.pkl" asks for "os.system", which runs programs (GLOBAL at byte 10).');
    expect(byteOffset).toBe(64 + 10);
  });

  it('finds a second pickle after the first', async () => {
    const file = written('model.pkl', bytes(pickle(dict()), EVIL));
    expect(await rulesOf(file)).toEqual(['pickle-trailing', 'pickle-dangerous-name', 'pickle-call']);
  });

  it('finds a pickle within a pickle', async () => {
    const file = written('model.pkl', pickle(call('pickle', 'loads', bytes('B', u32(EVIL.length), EVIL))));
    const { files } = await scanPaths([file]);
    expect(files[0]!.findings.map(({ message }) => message)).toEqual([
      'the pickle at byte 0 asks for "pickle.loads", which loads another pickle (GLOBAL at byte 2).',
      `the pickle at byte 0 calls "pickle.loads" (REDUCE at byte ${2 + 14 + 1 + 5 + EVIL.length + 1}).`,
      `the pickle at byte 0 carries a pickle of ${EVIL.length} bytes.`,
      'a pickle within the pickle at byte 0 asks for "os.system", which runs programs (GLOBAL at byte 2).',
      'a pickle within the pickle at byte 0 calls "os.system" (REDUCE at byte 22).',
    ]);
  });

  it.each([
    ['a CRC that is wrong', { crc32: 1 }, 'archive-crc'],
    ['a name that leads out of the archive', { name: '../data.pkl' }, 'archive-malformed'],
  ])('reads on in an archive with %s', async (_, change, rule) => {
    const [member, ...others] = torchMembers(EVIL);
    const file = written('model.pt', zipBytes(layOutZip([{ ...member!, ...change }, ...others])));
    const rules = await rulesOf(file);
    expect(rules).toEqual(expect.arrayContaining([rule, 'pickle-dangerous-name', 'pickle-call']));
  });

  it('reads on in an archive that is encrypted, by its flag alone', async () => {
    const layout = layOutZip(torchMembers(EVIL));
    const file = zipBytes(layout);
    file[layout.central[0]! + 8]! |= 1;
    expect(await rulesOf(written('model.pt', file))).toEqual(
      expect.arrayContaining(['archive-malformed', 'pickle-dangerous-name']),
    );
  });

  it('finds a member that the directory does not list', async () => {
    const hidden = zipBytes(layOutZip(torchMembers(EVIL)));
    const whole = bytes(hidden, torchZip(pickle(dict())));
    expect(await rulesOf(written('model.pt', whole))).toEqual(
      expect.arrayContaining(['archive-malformed', 'pickle-dangerous-name']),
    );
  });

  it('tells of an archive within an archive, and of code', async () => {
    const more = [
      { name: 'archive/inner.zip', data: torchZip(EVIL) },
      { name: 'archive/code/model.py', data: Buffer.from('import os') },
    ];
    const rules = await rulesOf(written('model.pt', torchZip(pickle(dict()), [], more)));
    expect(rules).toEqual(expect.arrayContaining(['archive-nested', 'archive-code']));
  });

  it('tells what the strict reader refuses in other formats', async () => {
    const twice = fileBytes(
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      1,
    );
    const { files } = await scanPaths([written('model.safetensors', twice)]);
    expect(files[0]!.findings).toMatchObject([{ rule: 'unreadable', message: expect.stringContaining('"a" twice') }]);
  });

  it('takes a pickle for what it is, whatever its name', async () => {
    expect(await rulesOf(written('model.safetensors', EVIL))).toContain('pickle-dangerous-name');
    expect(await rulesOf(written('notes.txt', "cos\nsystem\n(S'id'\ntR."))).toContain('pickle-dangerous-name');
  });

  it('goes through a folder: weights by their bytes, configurations, templates and programs', async () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'sub'));
    writeFileSync(path.join(folder, 'model.safetensors'), fileBytes({ a: u8(0, 4) }, patterned(4)));
    writeFileSync(path.join(folder, 'config.json'), '{"auto_map":{"AutoModel":"modeling_x.Model"}}');
    writeFileSync(path.join(folder, 'tokenizer_config.json'), '{"chat_template":"__class__ {{ messages }}"}');
    writeFileSync(path.join(folder, 'chat_template.jinja'), "{{ ''.__class__.__mro__ }}");
    writeFileSync(path.join(folder, 'modeling_x.py'), 'import os');
    writeFileSync(path.join(folder, 'README.md'), 'cats\nare nice\n');
    writeFileSync(path.join(folder, 'sub', 'blob'), EVIL);
    const { files } = await scanPaths([folder]);
    const found = files.map(({ path: file, findings }) => [
      path.relative(folder, file),
      findings.map(({ rule }) => rule),
    ]);
    expect(found).toEqual([
      ['chat_template.jinja', ['template-escape']],
      ['config.json', ['remote-code']],
      ['model.safetensors', []],
      ['modeling_x.py', ['program-file']],
      ['tokenizer_config.json', ['template']],
      [path.join('sub', 'blob'), ['pickle-dangerous-name', 'pickle-call']],
    ]);
  });

  it('refuses a path that is not there', async () => {
    await expect(scanPaths(['/nowhere/model.pt'])).rejects.toMatchObject({ code: 'unreadable' });
  });

  it.skipIf(sharedMissing !== undefined)(
    `finds nothing in the shared models${sharedMissing ? ` (${sharedMissing})` : ''}`,
    async () => {
      const { files, clean } = await scanPaths([sharedModel('tinystories-656k-pt'), sharedModel('resnet20-cifar10')]);
      expect(files.flatMap(({ findings }) => findings)).toEqual([]);
      expect(clean).toBe(true);
    },
  );

  it('finds nothing in what torch saved', async () => {
    const { files } = await scanPaths([SAVED]);
    const weights = files.filter(({ path: file }) =>
      /\/(?:zip|legacy)-|\.ckpt$|\.pth$|\/(?:tensor|state-dict)\.pt$/.test(file),
    );
    expect(weights).toHaveLength(14);
    expect(weights.flatMap(({ findings }) => findings)).toEqual([]);
  });
});

describe('SARIF', () => {
  it('has what the schema of 2.1.0 requires, and the findings in order', async () => {
    const report = await scanPaths([written('model.pt', torchZip(EVIL)), written('é #1.pkl', EVIL)]);
    const log = sarifLog(report, '1.2.3');
    expect(log).toMatchObject({ version: '2.1.0', $schema: expect.stringContaining('sarif-schema-2.1.0.json') });
    const [run] = log.runs;
    const { driver } = run!.tool;
    expect(driver).toMatchObject({ name: 'birdbone', semanticVersion: '1.2.3' });
    expect(driver.rules.map(({ id }) => id)).toEqual(Object.keys(RULES));
    expect(run!.results).toHaveLength(4);
    for (const result of run!.results) {
      expect(driver.rules[result.ruleIndex]!.id).toBe(result.ruleId);
      expect(['error', 'warning', 'note']).toContain(result.level);
      expect(result.message.text).not.toBe('');
      const { artifactLocation } = result.locations[0]!.physicalLocation;
      expect(run!.artifacts[artifactLocation.index]!.location.uri).toBe(artifactLocation.uri);
      expect(() => new URL(artifactLocation.uri)).not.toThrow();
    }
    expect(run!.results[0]!.locations[0]).toMatchObject({
      physicalLocation: { region: { byteOffset: 66, byteLength: 1 } },
      logicalLocations: [{ fullyQualifiedName: 'archive/data.pkl' }],
    });
    expect(run!.artifacts[1]!.location.uri).toMatch(/%C3%A9%20%231\.pkl$/);
    expect(JSON.stringify(sarifLog(report, '1.2.3'))).toBe(JSON.stringify(log));
  });
});
