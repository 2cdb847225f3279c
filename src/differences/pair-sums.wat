;; Sums over pairs of elements, four elements a turn: what sumPairs of sum-pairs.ts says in TypeScript, in SIMD.
;;
;; add(kind, before, after, count, lanes): adds `count` pairs to the sums so far. `count` is a multiple of 4; the caller pads both sides
;; with zeros at the end, which add nothing.
;; kind: 0 = BF16, 1 = F16, 2 = F32, where both sides are of one type, and an element has changed when its bits have. 4 + x + 4 · y: x
;; before and y after, of those numbers; an element has changed when its value has. `before`, `after`: addresses of packed elements.
;; lanes: sums so far, 144 bytes that begin as zeros: two f64 each of Σx², Σy², Σxy, Σ(y − x)², max (y − x)²; four i32 each of changed,
;; nonzero before, nonzero after, and a mask of lanes in which an F16 was infinite or NaN.
;;
;; total(lanes, out): out: f64 Σx², Σy², Σxy, Σ(y − x)², max (y − x)²; then i32 changed, nonzero before, nonzero after, and 1 where an
;; F16 was infinite or NaN, for then the sums are wrong (for the other kinds they are not finite themselves).
(module
  (memory (export "memory") 1)

  (func $total (param $lanes v128) (result i32)
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $lanes)) (i32x4.extract_lane 1 (local.get $lanes)))
      (i32.add (i32x4.extract_lane 2 (local.get $lanes)) (i32x4.extract_lane 3 (local.get $lanes)))))

  (func $sum2 (param $lanes v128) (result f64)
    (f64.add (f64x2.extract_lane 0 (local.get $lanes)) (f64x2.extract_lane 1 (local.get $lanes))))

  ;; `add` of two sides of F32 by their values, with nothing to choose on the way: it is what rounding spends its time in. The same sums.
  (func $addFloats (param $before i32) (param $after i32) (param $end i32) (param $lanes i32)
    (local $a v128) (local $b v128) (local $x v128) (local $y v128) (local $d v128) (local $zero v128)
    (local $xx v128) (local $yy v128) (local $xy v128) (local $dd v128) (local $most v128)
    (local $changed v128) (local $nonzeroBefore v128) (local $nonzeroAfter v128)
    (local.set $xx (v128.load offset=0 (local.get $lanes)))
    (local.set $yy (v128.load offset=16 (local.get $lanes)))
    (local.set $xy (v128.load offset=32 (local.get $lanes)))
    (local.set $dd (v128.load offset=48 (local.get $lanes)))
    (local.set $most (v128.load offset=64 (local.get $lanes)))
    (local.set $changed (v128.load offset=80 (local.get $lanes)))
    (local.set $nonzeroBefore (v128.load offset=96 (local.get $lanes)))
    (local.set $nonzeroAfter (v128.load offset=112 (local.get $lanes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $before) (local.get $end)))
        (local.set $x (v128.load (local.get $before)))
        (local.set $y (v128.load (local.get $after)))
        ;; A comparison gives −1 where it holds.
        (local.set $changed (i32x4.sub (local.get $changed) (f32x4.ne (local.get $x) (local.get $y))))
        (local.set $nonzeroBefore (i32x4.sub (local.get $nonzeroBefore) (f32x4.ne (local.get $x) (local.get $zero))))
        (local.set $nonzeroAfter (i32x4.sub (local.get $nonzeroAfter) (f32x4.ne (local.get $y) (local.get $zero))))

        (local.set $a (f64x2.promote_low_f32x4 (local.get $x)))
        (local.set $b (f64x2.promote_low_f32x4 (local.get $y)))
        (local.set $d (f64x2.sub (local.get $b) (local.get $a)))
        (local.set $d (f64x2.mul (local.get $d) (local.get $d)))
        (local.set $xx (f64x2.add (local.get $xx) (f64x2.mul (local.get $a) (local.get $a))))
        (local.set $yy (f64x2.add (local.get $yy) (f64x2.mul (local.get $b) (local.get $b))))
        (local.set $xy (f64x2.add (local.get $xy) (f64x2.mul (local.get $a) (local.get $b))))
        (local.set $dd (f64x2.add (local.get $dd) (local.get $d)))
        (local.set $most (f64x2.pmax (local.get $most) (local.get $d)))

        (local.set $a (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $x) (local.get $x))))
        (local.set $b (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $y) (local.get $y))))
        (local.set $d (f64x2.sub (local.get $b) (local.get $a)))
        (local.set $d (f64x2.mul (local.get $d) (local.get $d)))
        (local.set $xx (f64x2.add (local.get $xx) (f64x2.mul (local.get $a) (local.get $a))))
        (local.set $yy (f64x2.add (local.get $yy) (f64x2.mul (local.get $b) (local.get $b))))
        (local.set $xy (f64x2.add (local.get $xy) (f64x2.mul (local.get $a) (local.get $b))))
        (local.set $dd (f64x2.add (local.get $dd) (local.get $d)))
        (local.set $most (f64x2.pmax (local.get $most) (local.get $d)))

        (local.set $before (i32.add (local.get $before) (i32.const 16)))
        (local.set $after (i32.add (local.get $after) (i32.const 16)))
        (br $next)))
    (v128.store offset=0 (local.get $lanes) (local.get $xx))
    (v128.store offset=16 (local.get $lanes) (local.get $yy))
    (v128.store offset=32 (local.get $lanes) (local.get $xy))
    (v128.store offset=48 (local.get $lanes) (local.get $dd))
    (v128.store offset=64 (local.get $lanes) (local.get $most))
    (v128.store offset=80 (local.get $lanes) (local.get $changed))
    (v128.store offset=96 (local.get $lanes) (local.get $nonzeroBefore))
    (v128.store offset=112 (local.get $lanes) (local.get $nonzeroAfter)))

  (func (export "add") (param $kind i32) (param $before i32) (param $after i32) (param $count i32) (param $lanes i32)
    (local $end i32) (local $bytesBefore i32) (local $bytesAfter i32)
    (local $kindBefore i32) (local $kindAfter i32) (local $byValue i32)
    (local $a v128) (local $b v128) (local $x v128) (local $y v128) (local $d v128) (local $magnitude v128) (local $magnitude32 v128)
    (local $zero v128) (local $bias v128) (local $tiny v128) (local $least v128) (local $largest v128)
    (local $xx v128) (local $yy v128) (local $xy v128) (local $dd v128) (local $most v128)
    (local $changed v128) (local $nonzeroBefore v128) (local $nonzeroAfter v128) (local $special v128)
    ;; 14: by value, F32 before and after.
    (if (i32.eq (local.get $kind) (i32.const 14))
      (then
        (call $addFloats
          (local.get $before) (local.get $after)
          (i32.add (local.get $before) (i32.mul (local.get $count) (i32.const 4))) (local.get $lanes))
        (return)))
    (local.set $xx (v128.load offset=0 (local.get $lanes)))
    (local.set $yy (v128.load offset=16 (local.get $lanes)))
    (local.set $xy (v128.load offset=32 (local.get $lanes)))
    (local.set $dd (v128.load offset=48 (local.get $lanes)))
    (local.set $most (v128.load offset=64 (local.get $lanes)))
    (local.set $changed (v128.load offset=80 (local.get $lanes)))
    (local.set $nonzeroBefore (v128.load offset=96 (local.get $lanes)))
    (local.set $nonzeroAfter (v128.load offset=112 (local.get $lanes)))
    (local.set $special (v128.load offset=128 (local.get $lanes)))
    (local.set $byValue (i32.ge_u (local.get $kind) (i32.const 4)))
    (local.set $kindBefore
      (select (i32.and (local.get $kind) (i32.const 3)) (local.get $kind) (local.get $byValue)))
    (local.set $kindAfter
      (select
        (i32.sub (i32.shr_u (local.get $kind) (i32.const 2)) (i32.const 1)) (local.get $kind) (local.get $byValue)))
    ;; In locals, for a constant of 128 bits is made anew at each use. In the terms of f32, shifted by 13: 112 more in the
    ;; exponent, 2^-14, the least normal F16, the largest finite one.
    (local.set $magnitude (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
    (local.set $magnitude32 (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))
    (local.set $bias (v128.const i32x4 0x38000000 0x38000000 0x38000000 0x38000000))
    (local.set $tiny (v128.const i32x4 0x38800000 0x38800000 0x38800000 0x38800000))
    (local.set $least (v128.const i32x4 0x00800000 0x00800000 0x00800000 0x00800000))
    (local.set $largest (v128.const i32x4 0x0f7fe000 0x0f7fe000 0x0f7fe000 0x0f7fe000))
    (local.set $bytesBefore (select (i32.const 16) (i32.const 8) (i32.eq (local.get $kindBefore) (i32.const 2))))
    (local.set $bytesAfter (select (i32.const 16) (i32.const 8) (i32.eq (local.get $kindAfter) (i32.const 2))))
    (local.set $end
      (i32.add (local.get $before) (i32.mul (i32.div_u (local.get $count) (i32.const 4)) (local.get $bytesBefore))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $before) (local.get $end)))
        ;; A normal F16 gets another exponent. A subnormal one becomes the fraction of 2^-14 · 1.f, from which 2^-14 is taken: a
        ;; product would do, but a subnormal f32 in it costs the processor a hundred cycles.
        (if (i32.eq (local.get $kindBefore) (i32.const 2))
          (then
            (local.set $a (v128.load (local.get $before)))
            (local.set $x (local.get $a)))
          (else
            (local.set $a (v128.load16x4_u (local.get $before)))
            (if (local.get $kindBefore)
              (then
                (local.set $d (i32x4.shl (v128.and (local.get $a) (local.get $magnitude)) (i32.const 13)))
                (local.set $special (v128.or (local.get $special) (i32x4.gt_s (local.get $d) (local.get $largest))))
                (local.set $x
                  (v128.or
                    (v128.bitselect
                      (f32x4.sub (i32x4.add (local.get $d) (local.get $tiny)) (local.get $tiny))
                      (i32x4.add (local.get $d) (local.get $bias))
                      (i32x4.gt_s (local.get $least) (local.get $d)))
                    (i32x4.shl (v128.andnot (local.get $a) (local.get $magnitude)) (i32.const 16)))))
              (else (local.set $x (i32x4.shl (local.get $a) (i32.const 16)))))))
        (if (i32.eq (local.get $kindAfter) (i32.const 2))
          (then
            (local.set $b (v128.load (local.get $after)))
            (local.set $y (local.get $b)))
          (else
            (local.set $b (v128.load16x4_u (local.get $after)))
            (if (local.get $kindAfter)
              (then
                (local.set $d (i32x4.shl (v128.and (local.get $b) (local.get $magnitude)) (i32.const 13)))
                (local.set $special (v128.or (local.get $special) (i32x4.gt_s (local.get $d) (local.get $largest))))
                (local.set $y
                  (v128.or
                    (v128.bitselect
                      (f32x4.sub (i32x4.add (local.get $d) (local.get $tiny)) (local.get $tiny))
                      (i32x4.add (local.get $d) (local.get $bias))
                      (i32x4.gt_s (local.get $least) (local.get $d)))
                    (i32x4.shl (v128.andnot (local.get $b) (local.get $magnitude)) (i32.const 16)))))
              (else (local.set $y (i32x4.shl (local.get $b) (i32.const 16)))))))
        ;; A comparison gives −1 where it holds.
        (local.set $changed
          (i32x4.sub (local.get $changed)
            (select
              (f32x4.ne (local.get $x) (local.get $y)) (i32x4.ne (local.get $x) (local.get $y)) (local.get $byValue))))
        (local.set $nonzeroBefore (i32x4.sub (local.get $nonzeroBefore)
          (i32x4.ne (v128.and (local.get $x) (local.get $magnitude32)) (local.get $zero))))
        (local.set $nonzeroAfter (i32x4.sub (local.get $nonzeroAfter)
          (i32x4.ne (v128.and (local.get $y) (local.get $magnitude32)) (local.get $zero))))

        (local.set $a (f64x2.promote_low_f32x4 (local.get $x)))
        (local.set $b (f64x2.promote_low_f32x4 (local.get $y)))
        (local.set $d (f64x2.sub (local.get $b) (local.get $a)))
        (local.set $d (f64x2.mul (local.get $d) (local.get $d)))
        (local.set $xx (f64x2.add (local.get $xx) (f64x2.mul (local.get $a) (local.get $a))))
        (local.set $yy (f64x2.add (local.get $yy) (f64x2.mul (local.get $b) (local.get $b))))
        (local.set $xy (f64x2.add (local.get $xy) (f64x2.mul (local.get $a) (local.get $b))))
        (local.set $dd (f64x2.add (local.get $dd) (local.get $d)))
        (local.set $most (f64x2.pmax (local.get $most) (local.get $d)))

        (local.set $a (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $x) (local.get $x))))
        (local.set $b (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $y) (local.get $y))))
        (local.set $d (f64x2.sub (local.get $b) (local.get $a)))
        (local.set $d (f64x2.mul (local.get $d) (local.get $d)))
        (local.set $xx (f64x2.add (local.get $xx) (f64x2.mul (local.get $a) (local.get $a))))
        (local.set $yy (f64x2.add (local.get $yy) (f64x2.mul (local.get $b) (local.get $b))))
        (local.set $xy (f64x2.add (local.get $xy) (f64x2.mul (local.get $a) (local.get $b))))
        (local.set $dd (f64x2.add (local.get $dd) (local.get $d)))
        (local.set $most (f64x2.pmax (local.get $most) (local.get $d)))

        (local.set $before (i32.add (local.get $before) (local.get $bytesBefore)))
        (local.set $after (i32.add (local.get $after) (local.get $bytesAfter)))
        (br $next)))
    (v128.store offset=0 (local.get $lanes) (local.get $xx))
    (v128.store offset=16 (local.get $lanes) (local.get $yy))
    (v128.store offset=32 (local.get $lanes) (local.get $xy))
    (v128.store offset=48 (local.get $lanes) (local.get $dd))
    (v128.store offset=64 (local.get $lanes) (local.get $most))
    (v128.store offset=80 (local.get $lanes) (local.get $changed))
    (v128.store offset=96 (local.get $lanes) (local.get $nonzeroBefore))
    (v128.store offset=112 (local.get $lanes) (local.get $nonzeroAfter))
    (v128.store offset=128 (local.get $lanes) (local.get $special)))

  (func (export "total") (param $lanes i32) (param $out i32)
    (f64.store offset=0 (local.get $out) (call $sum2 (v128.load offset=0 (local.get $lanes))))
    (f64.store offset=8 (local.get $out) (call $sum2 (v128.load offset=16 (local.get $lanes))))
    (f64.store offset=16 (local.get $out) (call $sum2 (v128.load offset=32 (local.get $lanes))))
    (f64.store offset=24 (local.get $out) (call $sum2 (v128.load offset=48 (local.get $lanes))))
    (f64.store offset=32 (local.get $out)
      (f64.max (f64.load offset=64 (local.get $lanes)) (f64.load offset=72 (local.get $lanes))))
    (i32.store offset=40 (local.get $out) (call $total (v128.load offset=80 (local.get $lanes))))
    (i32.store offset=44 (local.get $out) (call $total (v128.load offset=96 (local.get $lanes))))
    (i32.store offset=48 (local.get $out) (call $total (v128.load offset=112 (local.get $lanes))))
    (i32.store offset=52 (local.get $out) (v128.any_true (v128.load offset=128 (local.get $lanes))))))
