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
                                scale: normalised ? s.readable : nil, type: RK_F32, dst: dst.pointer)
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
