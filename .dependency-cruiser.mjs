/** Who may import whom (docs/architecture.md): downwards only, other folders through their index.ts. */

/** Folder of src/ → the folders it may import; every folder may import itself and the files in `anywhere`. */
const mayImport = {
  tensor: [],
  checkpoint: ['tensor'],
  manifest: ['checkpoint', 'tensor'],
  store: ['checkpoint', 'tensor'],
  repository: ['checkpoint', 'manifest', 'tensor'],
  translation: ['checkpoint', 'tensor'],
  model: ['checkpoint', 'tensor', 'translation'],
  importance: ['tensor'],
  sparsity: ['tensor'],
  corpus: ['model'],
  evaluation: ['checkpoint', 'model', 'tensor', 'corpus'],
  evidence: ['tensor', 'checkpoint', 'model'],
  solvers: ['tensor', 'sparsity'],
  allocation: ['tensor', 'sparsity'],
  pictures: [],
  plates: ['tensor', 'checkpoint', 'model'],
  vocabulary: ['checkpoint', 'model', 'plates', 'translation'],
  shedding: ['tensor', 'checkpoint', 'translation', 'model', 'evidence', 'plates', 'solvers', 'vocabulary'],
  pruning: [
    'vocabulary',
    'tensor',
    'checkpoint',
    'model',
    'importance',
    'sparsity',
    'evidence',
    'solvers',
    'allocation',
    'plates',
    'shedding',
  ],
  state: ['checkpoint', 'manifest', 'store', 'tensor'],
  waves: [
    'tensor',
    'checkpoint',
    'manifest',
    'store',
    'model',
    'importance',
    'sparsity',
    'evidence',
    'plates',
    'shedding',
    'pruning',
    'corpus',
    'evaluation',
    'state',
    'pictures',
  ],
  scoring: [
    'tensor',
    'checkpoint',
    'manifest',
    'model',
    'importance',
    'sparsity',
    'evidence',
    'plates',
    'pruning',
    'corpus',
    'pictures',
  ],
  surveying: [
    'tensor',
    'checkpoint',
    'model',
    'importance',
    'evidence',
    'solvers',
    'plates',
    'shedding',
    'corpus',
    'waves',
    'pictures',
  ],
  scanning: ['checkpoint'],
  conversion: ['tensor', 'checkpoint', 'translation', 'model'],
  cli: [],
};

/** Files directly in src/ that a folder may import besides those that may be imported from anywhere. */
const rootFiles = { state: ['recipe'], waves: ['recipe'], cli: ['recipe'], commands: ['recipe'] };
const anywhere = ['errors', 'events', 'random', 'registry', 'nearest', 'version'];

const folderRules = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `${folder}-imports-downwards`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: {
    path: '^src/',
    pathNot: [
      ...[folder, ...allowed].map((name) => `^src/${name}/`),
      ...[...anywhere, ...(rootFiles[folder] ?? [])].map((name) => `^src/${name}\\.ts$`),
    ],
  },
}));

/** `only(what, from)`: the modules matching `what` may be imported from the paths `from` alone. */
const only = (name, what, from) => ({
  name,
  severity: 'error',
  from: { path: '^src/', pathNot: from },
  to: { path: what },
});

export default {
  forbidden: [
    ...folderRules,
    {
      name: 'through-the-index',
      comment:
        "Another folder's files are its own business; what it offers is in its index.ts. Types may come from anywhere.",
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: {
        path: '^src/[^/]+/.+',
        pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$', '^src/cli/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'root-files-import-no-folder',
      severity: 'error',
      from: { path: '^src/(errors|events|random|registry|nearest|version|recipe)\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(errors|nearest)\\.ts$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    only('oclif-at-the-edge', 'node_modules/@oclif/', '^src/(cli|commands)/'),
    only('files-at-the-edges', '^(node:)?fs(/promises)?$', [
      '^src/(checkpoint|manifest|store|repository|corpus|model|state|waves|scoring|surveying|vocabulary|scanning|conversion|cli)/',
      '^src/recipe\\.ts$',
    ]),
    only('programs-at-the-edges', '^(node:)?child_process$', ['^src/(repository|cli)/']),
    only(
      'native-addons-in-backends',
      'node_modules/(onnxruntime-node|webgpu|@tensorflow/tfjs-(backend-|node))',
      '^src/tensor/backends/',
    ),
    only(
      'tensors-below-waves',
      'node_modules/@tensorflow/tfjs-core',
      '^src/(tensor|model|importance|evaluation|evidence|pruning)/',
    ),
    only('charts-in-pictures', 'node_modules/vega', '^src/pictures/'),
    only('schemas-at-the-borders', 'node_modules/zod', [
      '^src/(manifest|store|repository|model|checkpoint)/',
      '^src/recipe\\.ts$',
    ]),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
