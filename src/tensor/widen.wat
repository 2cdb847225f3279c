;; 16-bit floats as f32, eight at a time. Exact for every code, the bits of NaN among them: all but subnormal numbers take integer
;; arithmetic. test/tensor/dtype-conversion.test.ts holds each code of both formats against what their definitions say.
;;
;; Whole vectors are read and written, so the caller leaves 16 bytes of room behind what is read and 32 behind what is written.
(module
  (memory (import "host" "memory") 1)

  ;; `count` BF16, each of which is the upper half of an f32.
  (func (export "BF16") (param $in i32) (param $count i32) (param $out i32)
    (local $end i32) (local $zero v128) (local $eight v128)
    (local.set $end (i32.add (local.get $out) (i32.mul (local.get $count) (i32.const 4))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $out) (local.get $end)))
        (local.set $eight (v128.load (local.get $in)))
        (v128.store (local.get $out)
          (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $zero) (local.get $eight)))
        (v128.store offset=16 (local.get $out)
          (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $zero) (local.get $eight)))
        (local.set $in (i32.add (local.get $in) (i32.const 16)))
        (local.set $out (i32.add (local.get $out) (i32.const 32)))
        (br $next))))

  ;; `count` F16: IEEE 754's binary16.
  (func (export "F16") (param $in i32) (param $count i32) (param $out i32)
    (local $end i32) (local $zero v128) (local $eight v128) (local $a v128) (local $b v128) (local $d v128) (local $e v128)
    (local $magnitude v128) (local $bias v128) (local $tiny v128) (local $least v128) (local $largest v128)
    (local.set $end (i32.add (local.get $out) (i32.mul (local.get $count) (i32.const 4))))
    ;; In locals, for a constant of 128 bits is made anew at each use. In the terms of f32: 112 more in the exponent, 2^-14, the
    ;; least normal F16, the largest finite one.
    (local.set $magnitude (v128.const i32x4 0x7fff0000 0x7fff0000 0x7fff0000 0x7fff0000))
    (local.set $bias (v128.const i32x4 0x38000000 0x38000000 0x38000000 0x38000000))
    (local.set $tiny (v128.const i32x4 0x38800000 0x38800000 0x38800000 0x38800000))
    (local.set $least (v128.const i32x4 0x00800000 0x00800000 0x00800000 0x00800000))
    (local.set $largest (v128.const i32x4 0x0f7fe000 0x0f7fe000 0x0f7fe000 0x0f7fe000))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $out) (local.get $end)))
        (local.set $eight (v128.load (local.get $in)))
        (local.set $a (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $zero) (local.get $eight)))
        (local.set $b (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $zero) (local.get $eight)))
        ;; A normal number gets another exponent; what is infinite or no number gets the same once more. A subnormal one becomes the
        ;; fraction of 2^-14 · 1.f, from which 2^-14 is taken: a product would do, but a subnormal f32 in it costs the processor a
        ;; hundred cycles.
        (local.set $d (i32x4.shr_u (v128.and (local.get $a) (local.get $magnitude)) (i32.const 3)))
        (local.set $e (i32x4.shr_u (v128.and (local.get $b) (local.get $magnitude)) (i32.const 3)))
        (v128.store (local.get $out)
          (v128.or
            (i32x4.add
              (v128.bitselect
                (f32x4.sub (i32x4.add (local.get $d) (local.get $tiny)) (local.get $tiny))
                (i32x4.add (local.get $d) (local.get $bias))
                (i32x4.gt_s (local.get $least) (local.get $d)))
              (v128.and (local.get $bias) (i32x4.gt_s (local.get $d) (local.get $largest))))
            (v128.andnot (local.get $a) (local.get $magnitude))))
        (v128.store offset=16 (local.get $out)
          (v128.or
            (i32x4.add
              (v128.bitselect
                (f32x4.sub (i32x4.add (local.get $e) (local.get $tiny)) (local.get $tiny))
                (i32x4.add (local.get $e) (local.get $bias))
                (i32x4.gt_s (local.get $least) (local.get $e)))
              (v128.and (local.get $bias) (i32x4.gt_s (local.get $e) (local.get $largest))))
            (v128.andnot (local.get $b) (local.get $magnitude))))
        (local.set $in (i32.add (local.get $in) (i32.const 16)))
        (local.set $out (i32.add (local.get $out) (i32.const 32)))
        (br $next)))))
