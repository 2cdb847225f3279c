import { describe, expect, it } from 'vitest';
import { diffCheckpoints, renderDiffMarkdown } from '../../src/manifest/index.js';
import { f32, type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

async function render(before: Record<string, MemoryTensor>, after: Record<string, MemoryTensor>): Promise<string> {
  const from = memoryCheckpoint(before, { path: '/models/dense' });
  return renderDiffMarkdown(await diffCheckpoints(from, memoryCheckpoint(after, { path: '/models/pruned' })));
}

describe('renderDiffMarkdown', () => {
  it('puts totals first and the largest relative error on top', async () => {
    const before = {
      same: f32([1], [1]),
      small: f32([1, 2], [3, 4]),
      large: f32([2], [3, 4]),
      old: f32([600], Array(600).fill(1)),
    };
    const after = { same: f32([1], [1]), small: f32([1, 2], [3, 4.5]), large: f32([2], [3, 0]), fresh: f32([], [1]) };
    expect(await render(before, after)).toMatchInlineSnapshot(`
      "# \`dense\` → \`pruned\`

      |  | before | after |
      | --- | --- | --- |
      | tensors | 4 | 4 |
      | parameters | 605 | 6 |
      | size | 2.42 kB | 24 B |

      Tensors: 1 identical, 2 changed, 1 added, 1 removed.
      The changed tensors together: 50 % of the elements changed, sparsity 0 % → 25 %, relative error 0.5701, cosine 0.8232, largest change 4.

      ## Changed tensors

      | tensor | dtype | shape | size | changed | sparsity | relative error | cosine | largest change |
      | --- | --- | --- | --- | --- | --- | --- | --- | --- |
      | \`large\` | F32 | 2 | 8 B | 50 % | 0 % → 50 % | 0.8 | 0.6 | 4 |
      | \`small\` | F32 | 1 × 2 | 8 B | 50 % | 0 % → 0 % | 0.1 | 0.9985 | 0.5 |

      ## Reshaped, added and removed tensors

      | tensor |  | before | after |
      | --- | --- | --- | --- |
      | \`fresh\` | added | – | F32 scalar, 4 B |
      | \`old\` | removed | F32 600, 2.4 kB | – |
      "
    `);
  });

  it('says so when nothing differs', async () => {
    const tensors = { w: f32([1], [1]) };
    expect(await render(tensors, tensors)).toMatchInlineSnapshot(`
      "# \`dense\` → \`pruned\`

      |  | before | after |
      | --- | --- | --- |
      | tensors | 1 | 1 |
      | parameters | 1 | 1 |
      | size | 4 B | 4 B |

      All 1 tensors are identical, and so are config and metadata.
      "
    `);
  });

  it('shows a column for what is not finite when there is any', async () => {
    const page = await render({ w: f32([2], [1, 2]) }, { w: f32([2], [1, Number.NaN]) });
    expect(page).toContain('| not finite |');
    expect(page).toContain('| 0 → 1 |');
  });

  it('keeps names from breaking the table or reaching the terminal as commands', async () => {
    const name = 'a|b`c\n\u001b[31mred\u202e';
    const page = await render({ [name]: f32([1], [1]) }, { [name]: f32([1], [2]) });
    expect(page).toContain("`a\\|b'c\\u000a\\u001b[31mred\\u202e`");
    expect(['\u001b', '\u202e'].filter((character) => page.includes(character))).toEqual([]);
  });
});
