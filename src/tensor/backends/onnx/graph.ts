/**
 * A small writer of ONNX models: the protobuf wire format of the few messages that a graph of standard operators needs.
 * Source: onnx/onnx, onnx/onnx.proto (field numbers and enum values below).
 */

/** An integer, a list of integers, or a float (marked, as a number alone cannot say which it is). */
type Attribute = number | readonly number[] | { readonly float: number };

export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  /** One name, or one for each result of an operator that has several. */
  readonly output: string | readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Empty for the ONNX standard's own operators. */
  readonly domain?: 'com.microsoft';
}

export type ElementType = 'float32' | 'int32' | 'float64';

/** Nodes in order of execution, the last of which makes `output`. Inputs and output have any rank and shape. */
export interface Graph {
  readonly inputs: Readonly<Record<string, ElementType>>;
  readonly nodes: readonly GraphNode[];
  /** float32 unless said otherwise. */
  readonly output?: ElementType;
}

/** Operator set 18: the last in which every operator used here changed, and read by ONNX Runtime since 1.14. */
const OPSET = 18;
const IR_VERSION = 8;
const ELEMENT_TYPES = { float32: 1, int32: 6, float64: 11 } as const;

/** A constant of int64 values, for the inputs that ONNX wants as tensors: axes, shapes. */
export function integers(output: string, values: readonly number[]): GraphNode {
  return { op: 'Constant', inputs: [], output, attributes: { value_ints: values } };
}

/** A float32 constant of no dimension. */
export function scalar(output: string, value: number): GraphNode {
  return { op: 'Constant', inputs: [], output, attributes: { value_float: { float: value } } };
}

/** The bytes of an ONNX model (ModelProto) that holds the graph. */
export function encodeGraph(graph: Graph): Uint8Array {
  return Uint8Array.from([
    ...integer(1, IR_VERSION),
    ...message(7, [
      ...graph.nodes.flatMap((node) => message(1, encodeNode(node))),
      ...text(2, 'birdbone'),
      ...Object.entries(graph.inputs).flatMap(([name, type]) => message(11, valueInfo(name, type))),
      ...message(12, valueInfo('output', graph.output ?? 'float32')),
    ]),
    ...message(8, [...text(1, ''), ...integer(2, OPSET)]),
    ...message(8, [...text(1, 'com.microsoft'), ...integer(2, 1)]),
  ]);
}

function encodeNode(node: GraphNode): number[] {
  return [
    ...node.inputs.flatMap((name) => text(1, name)),
    ...[node.output].flat().flatMap((name) => text(2, name)),
    ...text(4, node.op),
    ...Object.entries(node.attributes ?? {}).flatMap(([name, value]) => message(5, encodeAttribute(name, value))),
    ...text(7, node.domain ?? ''),
  ];
}

/** AttributeProto: name 1, f 2, i 3, ints 8, type 20 (FLOAT 1, INT 2, INTS 7). */
function encodeAttribute(name: string, value: Attribute): number[] {
  if (typeof value === 'number') return [...text(1, name), ...integer(3, value), ...integer(20, 2)];
  if ('float' in value) return [...text(1, name), ...float(2, value.float), ...integer(20, 1)];
  return [...text(1, name), ...value.flatMap((item) => integer(8, item)), ...integer(20, 7)];
}

/** ValueInfoProto of a tensor without a shape: name 1, type 2 { tensor_type 1 { elem_type 1 } }. */
function valueInfo(name: string, type: ElementType): number[] {
  return [...text(1, name), ...message(2, message(1, integer(1, ELEMENT_TYPES[type])))];
}

const WIRE = { varint: 0, bytes: 2, fixed32: 5 } as const;

function key(field: number, wire: number): number[] {
  return varint(BigInt(field * 8 + wire));
}

/** Protobuf writes a negative int64 as its two's complement. */
function integer(field: number, value: number): number[] {
  return [...key(field, WIRE.varint), ...varint(BigInt.asUintN(64, BigInt(value)))];
}

function float(field: number, value: number): number[] {
  return [...key(field, WIRE.fixed32), ...new Uint8Array(Float32Array.of(value).buffer)];
}

function text(field: number, value: string): number[] {
  return message(field, [...new TextEncoder().encode(value)]);
}

function message(field: number, content: readonly number[]): number[] {
  return [...key(field, WIRE.bytes), ...varint(BigInt(content.length)), ...content];
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128n) {
    bytes.push(Number(rest % 128n) + 128);
    rest /= 128n;
  }
  bytes.push(Number(rest));
  return bytes;
}
