/**
 * Python modules, and names in them, that let a pickle do harm, with what each is for. A name that is not here is no safer:
 * whatever is not on the list of what weights need is reported and refused. This table only says what an attack was after.
 */
const ROWS: readonly (readonly [harm: string, names: string])[] = [
  [
    'runs programs',
    'os posix nt subprocess commands popen2 pty platform.popen multiprocessing asyncio concurrent.futures webbrowser ' +
      'distutils.spawn distutils.file_util setuptools numpy.distutils torch.utils.cpp_extension sh pexpect ' +
      'torch.distributed torch._inductor torch.multiprocessing antigravity',
  ],
  [
    'runs Python code',
    'builtins.eval builtins.exec builtins.compile builtins.execfile builtins.input __builtin__.eval __builtin__.exec ' +
      '__builtin__.compile __builtin__.execfile __builtin__.input builtins.__build_class__ code codeop runpy timeit ' +
      'trace profile cProfile pdb bdb doctest test.support idlelib lib2to3 types.FunctionType types.CodeType types.LambdaType ' +
      'numpy.testing torch.jit torch.jit.unsupported_tensor_ops torch.fx torch.utils.bottleneck torch.utils.collect_env ' +
      'torch._dynamo IPython ctypes cffi _ctypes logging.config sympy pandas.eval numexpr',
  ],
  ['imports modules', 'importlib imp zipimport pkgutil pydoc builtins.__import__ __builtin__.__import__ modulefinder'],
  ['installs packages', 'pip ensurepip venv virtualenv setuptools.sandbox conda'],
  [
    'reaches any other name from one that is allowed',
    'builtins.getattr builtins.setattr builtins.delattr builtins.globals builtins.locals builtins.vars builtins.map ' +
      'builtins.filter builtins.apply __builtin__.getattr __builtin__.setattr __builtin__.globals __builtin__.apply ' +
      '__builtin__.map functools operator itertools inspect sys gc weakref copyreg copy_reg types',
  ],
  [
    'loads another pickle',
    'pickle _pickle cPickle dill cloudpickle joblib shelve marshal torch.load torch.serialization.load torch.hub ' +
      'torch.package numpy.load pandas.read_pickle sklearn.externals torch.storage._load_from_bytes',
  ],
  [
    'reads, writes or removes files',
    'builtins.open __builtin__.open __builtin__.file io.open io.FileIO codecs.open shutil tempfile pathlib glob fileinput ' +
      'linecache torch.save numpy.save numpy.fromfile numpy.memmap sqlite3 dbm zipfile tarfile',
  ],
  [
    'reaches the network',
    'socket ssl http httplib urllib urllib2 requests aiohttp ftplib smtplib telnetlib poplib imaplib xmlrpc socketserver ' +
      'SocketServer nntplib wsgiref torch.hub.load_state_dict_from_url',
  ],
];

const HARMS = new Map(ROWS.flatMap(([harm, names]) => names.split(' ').map((name) => [name, harm] as const)));

/** What harm a name is known for: its own, or that of a module that it is in, however deep; undefined for no known one. */
export function knownHarm(module: string, name: string): string | undefined {
  const parts = `${module}.${name}`.split('.', MAX_PARTS);
  for (let length = parts.length; length > 0; length -= 1) {
    const harm = HARMS.get(parts.slice(0, length).join('.'));
    if (harm !== undefined) return harm;
  }
  return undefined;
}

/** The deepest name in the table has three. */
const MAX_PARTS = 16;
