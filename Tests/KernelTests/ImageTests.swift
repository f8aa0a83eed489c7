// ImageTests: layouts, bytes, normalisation and augmentation against what their comments say, element by element.
import CRengaKernels
import XCTest

final class ImageTests: XCTestCase {
    private static let shapes = [
        (1, 1, 1, 1), (2, 5, 7, 3), (3, 28, 28, 1), (1, 32, 33, 3), (2, 9, 8, 17), (1, 3, 70, 4), (1, 2, 3, 257),
    ]

    private func index(_ layout: rk_layout, _ shape: (Int, Int, Int, Int), _ n: Int, _ y: Int, _ x: Int, _ c: Int)
        -> Int
    {
        let (_, h, w, channels) = shape
        return layout == RK_LAYOUT_NHWC ? ((n * h + y) * w + x) * channels + c : ((n * channels + c) * h + y) * w + x
    }

    private func forEachElement(_ shape: (Int, Int, Int, Int), _ body: (Int, Int, Int, Int) -> Void) {
        for n in 0..<shape.0 {
            for y in 0..<shape.1 {
                for x in 0..<shape.2 { for c in 0..<shape.3 { body(n, y, x, c) } }
            }
        }
    }

    func testImportOfEveryKind() {
        for shape in Self.shapes {
            let count = shape.0 * shape.1 * shape.2 * shape.3
            var random = TestRandom(count)
            let bytes = (0..<count).map { _ in UInt8(random.index(256)) }
            let floats = random.floats(count)
            let (mean, scale) = (random.floats(shape.3), random.floats(shape.3, 0.5, 2))
            for layout in [RK_LAYOUT_NHWC, RK_LAYOUT_NCHW] {
                for element in [RK_ELEMENT_F32, RK_ELEMENT_U8] {
                    for normalised in [false, true] {
                        var expected = [Float](repeating: 0, count: count)
                        forEachElement(shape) { n, y, x, c in
                            let at = index(layout, shape, n, y, x, c)
                            let value = element == RK_ELEMENT_U8 ? Float(bytes[at]) : floats[at]
                            expected[index(RK_LAYOUT_NHWC, shape, n, y, x, c)] =
                                normalised ? (value - mean[c]) * scale[c] : value
                        }
                        for threads in teamSizes {
                            let (b, f, m, s) = (
                                Guarded(bytes, misaligned: true), Floats(floats), Floats(mean), Floats(scale)
                            )
                            let dst = Floats(count: count, repeating: .nan)
                            let arguments = rk_image_import_args(
                                n: Int64(shape.0), h: Int64(shape.1), w: Int64(shape.2), c: Int64(shape.3),
                                src: element == RK_ELEMENT_U8
                                    ? UnsafeRawPointer(b.pointer) : UnsafeRawPointer(f.pointer),
                                element: element, layout: layout, mean: normalised ? m.readable : nil,
                                scale: normalised ? s.readable : nil, type: RK_F32, dst: dst.pointer,
                                strides: rk_strides())
                            runStep(rk_image_import, arguments, threads: threads)
                            assertClose(dst.values, expected, 1e-6, "\(shape) layout \(layout) element \(element)")
                            assertIntact([f, m, s, dst])
                            assertIntact([b])
                        }
                    }
                }
            }
        }
    }

    /// Windows, mirrored and repeated axes, planes, padded rows, floats at odd addresses: imported and gathered.
    func testStridedImports() {
        for shape in Self.shapes {
            let (h, w, c) = (shape.1, shape.2, shape.3)
            let row = (w + 2) * c
            let windows: [(at: Int, strides: (Int, Int, Int, Int))] = [
                (c, ((h + 1) * row, row, c, 1)), (row * (h - 1), ((h + 1) * row, -row, c, 1)),
                (row - c, ((h + 1) * row, row, -c, 1)), (c - 1, ((h + 1) * row, row, c, -1)),
                (0, (h * w * c, w, 1, h * w)), (0, (0, row, c, 1)), (5, (0, 0, 0, 0)), (1, (7, 2, 3, 5)),
            ]
            let count = max(shape.0 * (h + 1) * row, 7 * shape.0 + 2 * h + 3 * w + 5 * c + 2) + 8
            var random = TestRandom(count)
            let bytes = (0..<count).map { _ in UInt8(random.index(256)) }
            let (mean, scale) = (random.floats(c), random.floats(c, 0.5, 2))
            for (at, strides) in windows {
                for element in [RK_ELEMENT_F32, RK_ELEMENT_U8] {
                    let size = element == RK_ELEMENT_U8 ? 1 : 4
                    // One byte off where floats would lie.
                    let memory = Guarded(
                        (0..<count * size + 1).map { index in
                            element == RK_ELEMENT_U8 || index == 0
                                ? bytes[index % count]
                                : withUnsafeBytes(of: Float(bytes[(index - 1) / 4])) { $0[(index - 1) % 4] }
                        })
                    let first = UnsafeRawPointer(memory.pointer) + (element == RK_ELEMENT_U8 ? at : 1 + 4 * at)
                    var plain = [Float](repeating: 0, count: shape.0 * h * w * c)
                    forEachElement(shape) { n, y, x, k in
                        let place = at + n * strides.0 + y * strides.1 + x * strides.2 + k * strides.3
                        plain[index(RK_LAYOUT_NHWC, shape, n, y, x, k)] = Float(bytes[place])
                    }
                    let expected = plain.enumerated().map { ($1 - mean[$0 % c]) * scale[$0 % c] }
                    let kernelStrides = rk_strides(
                        n: Int64(strides.0 * size), h: Int64(strides.1 * size), w: Int64(strides.2 * size),
                        c: Int64(strides.3 * size))
                    let what = "\(shape) from \(at) by \(strides), element \(element)"
                    for threads in teamSizes {
                        let (m, s, dst) = (Floats(mean), Floats(scale), Floats(count: plain.count, repeating: .nan))
                        let arguments = rk_image_import_args(
                            n: Int64(shape.0), h: Int64(h), w: Int64(w), c: Int64(c), src: first, element: element,
                            layout: RK_LAYOUT_STRIDED, mean: m.readable, scale: s.readable, type: RK_F32,
                            dst: dst.pointer, strides: kernelStrides)
                        runStep(rk_image_import, arguments, threads: threads)
                        assertClose(dst.values, expected, 1e-6, what)
                        assertIntact([m, s, dst])
                    }
                    let gathered = Guarded<UInt8>(count: plain.count * size, repeating: 0)
                    rk_image_gather(
                        Int64(shape.0), Int64(h), Int64(w), Int64(c), first, element, kernelStrides, gathered.pointer)
                    let values = (0..<plain.count).map {
                        element == RK_ELEMENT_U8
                            ? Float(gathered.values[$0])
                            : UnsafeRawPointer(gathered.pointer).loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
                    }
                    assertSameBits(values, plain, what)
                    assertIntact([gathered, memory])
                }
            }
        }
    }

    func testExportTurnsBack() {
        for shape in Self.shapes {
            let count = shape.0 * shape.1 * shape.2 * shape.3
            var random = TestRandom(count)
            let src = random.floats(count)
            for layout in [RK_LAYOUT_NHWC, RK_LAYOUT_NCHW] {
                var expected = src
                forEachElement(shape) { n, y, x, c in
                    expected[index(layout, shape, n, y, x, c)] = src[index(RK_LAYOUT_NHWC, shape, n, y, x, c)]
                }
                for threads in teamSizes {
                    let (x, y) = (Floats(src), Floats(count: count, repeating: .nan))
                    let arguments = rk_image_export_args(
                        n: Int64(shape.0), h: Int64(shape.1), w: Int64(shape.2), c: Int64(shape.3), type: RK_F32,
                        src: x.readable, layout: layout, dst: y.pointer)
                    runStep(rk_image_export, arguments, threads: threads)
                    assertSameBits(y.values, expected, "\(shape) layout \(layout)")
                    assertIntact([x, y])
                }
            }
        }
    }

    func testAugmentationElementByElement() {
        for (h, w, c) in [(1, 1, 1), (5, 7, 3), (8, 6, 2)] {
            let count = h * w * c
            var random = TestRandom(count)
            let bytes = (0..<count).map { _ in UInt8(random.index(256)) }
            let (mean, scale) = (random.floats(c), random.floats(c, 0.5, 2))
            for (pad, top, left) in [(0, 0, 0), (2, 0, 4), (2, 2, 2), (2, 4, 1), (9, 18, 0), (9, 0, 18)] {
                for flip in [false, true] {
                    for layout in [RK_LAYOUT_NHWC, RK_LAYOUT_NCHW] {
                        var expected = [Float](repeating: 0, count: count)
                        forEachElement((1, h, w, c)) { _, y, x, channel in
                            let (fromY, fromX) = (y + top - pad, (flip ? w - 1 - x : x) + left - pad)
                            guard (0..<h).contains(fromY), (0..<w).contains(fromX) else { return }
                            let value = Float(bytes[index(layout, (1, h, w, c), 0, fromY, fromX, channel)])
                            expected[(y * w + x) * c + channel] = (value - mean[channel]) * scale[channel]
                        }
                        let (b, m, s) = (Guarded(bytes), Floats(mean), Floats(scale))
                        let dst = Floats(count: count, repeating: .nan)
                        var image = rk_augment(
                            h: Int64(h), w: Int64(w), c: Int64(c), pad: Int64(pad), top: Int64(top), left: Int64(left),
                            flip: flip ? 1 : 0, element: RK_ELEMENT_U8, layout: layout, src: b.pointer,
                            mean: m.readable,
                            scale: s.readable, type: RK_F32, dst: dst.pointer)
                        rk_augment_image(&image)
                        assertClose(
                            dst.values, expected, 1e-6, "\(h)x\(w)x\(c) pad \(pad) top \(top) left \(left) flip \(flip)"
                        )
                        assertIntact([dst, m, s])
                        assertIntact([b])
                    }
                }
            }
        }
    }
}
