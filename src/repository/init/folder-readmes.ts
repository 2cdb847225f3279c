/** The folders that a repository of weights has, each with a page that says what goes there. */
export const FOLDER_READMES: Readonly<Record<string, string>> = {
  'configs/README.md': `# configs

Recipes: a job of birdbone's written down as JSON, so that it can be repeated to the byte.

    birdbone plan configs/half.json    what it would do, and what it takes
    birdbone run configs/half.json     do it

Everything that decides the result is in the recipe: model, texts, method, seed. Paths in it are relative to the folder that the
command runs in. A recipe is small text: commit it, and review it like code.
`,
  'models/README.md': `# models

Checkpoints: one folder a model (config.json, tokenizer files, *.safetensors), or single files (*.gguf, *.pt).

Weights go through git-lfs (.gitattributes at the top of the repository): git keeps a pointer of three lines, and the bytes are
stored beside it. Before the first commit, and once on each machine:

    git lfs install

After a change that was meant, record the new hashes, and commit them with the weights:

    birdbone hash --update
    git add .weight_hashes.json models

A commit whose weights differ from .weight_hashes.json is refused by the hook in .pre-commit-config.yaml, and by CI.
A file from a stranger is looked at before it is loaded, which runs nothing that is in it:

    birdbone scan models/stranger.pt
`,
  'diffs/README.md': `# diffs

What changed in a model, tensor by tensor: each run of birdbone leaves <name>.diff.json for programs and <name>.diff.md for
people. They are small text: commit them with the model that they belong to.

    birdbone diff models/dense models/half    compare any two models

A diff names, for every tensor, the fraction of values that changed, the sparsity before and after, and the relative error; for
every wave, what was measured and why it was kept or rolled back.
`,
};
