// WindowTests: how many places a window has, against tables made by hand and against a count of the places one by one.
import RengaNetwork
import TestSupport
import XCTest

final class WindowTests: XCTestCase {
    private struct Case {
        var size: Int, kernel: Int, stride = 1, before = 0, after = 0, dilation = 1
        var floor: Int, ceiling: Int
    }

    private func window(_ test: Case) -> Window {
        var window = Window(kernel: test.kernel, stride: test.stride, dilation: test.dilation)
        (window.padTop, window.padBottom) = (test.before, test.after)
        // Columns get the mirrored pads, so that a mix-up of the axes or sides shows.
        (window.padLeft, window.padRight) = (test.after, test.before)
        return window
    }

    /// Worked out by hand; the ceiling column is PyTorch's rule (torch.nn.MaxPool2d(…, ceil_mode=True)).
    func testPlacesByHand() throws {
        let cases = [
            Case(size: 7, kernel: 3, floor: 5, ceiling: 5),
            Case(size: 7, kernel: 3, stride: 2, floor: 3, ceiling: 3),
            Case(size: 8, kernel: 3, stride: 2, floor: 3, ceiling: 4),
            Case(size: 112, kernel: 3, stride: 2, before: 1, after: 1, floor: 56, ceiling: 57),
            Case(size: 5, kernel: 2, stride: 3, floor: 2, ceiling: 2),
            Case(size: 6, kernel: 2, stride: 3, floor: 2, ceiling: 3 - 1),
            Case(size: 7, kernel: 2, stride: 3, floor: 2, ceiling: 3),
            Case(size: 4, kernel: 2, stride: 3, before: 1, after: 1, floor: 2, ceiling: 2),
            Case(size: 5, kernel: 3, before: 2, after: 0, floor: 5, ceiling: 5),
            Case(size: 9, kernel: 3, stride: 2, dilation: 2, floor: 3, ceiling: 3),
            Case(size: 1, kernel: 1, stride: 4, floor: 1, ceiling: 1),
            Case(size: 2, kernel: 1, stride: 4, floor: 1, ceiling: 1),
        ]
        for test in cases {
            let src = Shape(n: 2, h: test.size, w: test.size, c: 3)
            let window = window(test)
            XCTAssertEqual(
                try MaxPool(window: window).outputShape([src]).h, test.floor, "\(test)")
            let ceiling = try MaxPool(window: window, ceilMode: true).outputShape([src])
            XCTAssertEqual(ceiling.h, test.ceiling, "\(test)")
            XCTAssertEqual(ceiling.n, 2)
            XCTAssertEqual(ceiling.c, 3)
        }
    }

    /// The rule counted out: places in floor mode lie inside the padded map; ceil mode adds a last one that begins inside map or first pad.
    func testPlacesCountedOut() throws {
        var checked = 0
        for size in 1...12 {
            for kernel in 1...4 {
                for stride in 1...4 {
                    for (before, after) in [(0, 0), (1, 0), (0, 1), (2, 1)] where max(before, after) < kernel {
                        let test = Case(
                            size: size, kernel: kernel, stride: stride, before: before, after: after, floor: 0,
                            ceiling: 0)
                        guard size + before + after >= kernel else { continue }
                        let starts = Array(Swift.stride(from: -before, through: size + after, by: stride))
                        let inside = starts.filter { $0 + kernel <= size + after }.count
                        let over = starts.first { $0 + kernel > size + after }
                        // Ceil mode counts one window that the stride would still begin before the last whole one's end.
                        let reached = (inside - 1) * stride - before + kernel
                        let extra = reached < size + after && (over ?? size) < size ? 1 : 0
                        let src = Shape(n: 1, h: size, w: max(size, 8), c: 1)
                        XCTAssertEqual(try MaxPool(window: window(test)).outputShape([src]).h, inside, "\(test)")
                        XCTAssertEqual(
                            try AveragePool(window: window(test), ceilMode: true).outputShape([src]).h, inside + extra,
                            "\(test)")
                        checked += 1
                    }
                }
            }
        }
        XCTAssertGreaterThan(checked, 300)
    }

    func testConvolutionShapes() throws {
        let src = Shape(n: 4, h: 9, w: 11, c: 6)
        var window = Window(kernel: 3)
        (window.kernelW, window.strideH, window.strideW) = (5, 2, 3)
        (window.padTop, window.padLeft, window.padBottom, window.padRight) = (1, 0, 2, 4)
        (window.dilationH, window.dilationW) = (3, 2)
        // Rows: 9 + 1 + 2 - 7 = 5, / 2 -> 3; columns: 11 + 0 + 4 - 9 = 6, / 3 -> 3.
        let conv = Convolution(channels: 10, window: window, groups: 2)
        XCTAssertEqual(try conv.outputShape([src]), Shape(n: 4, h: 3, w: 3, c: 10))
        XCTAssertEqual(
            try conv.parameters([src]),
            [ParameterSpec("weight", .weight, [3, 5, 3, 10]), ParameterSpec("bias", .bias, [10])])
        XCTAssertEqual(conv.macs([src]), 4 * 3 * 3 * 3 * 5 * 3 * 10)
        XCTAssertEqual(try Convolution(channels: 5, window: Window(kernel: 1), bias: false).parameters([src]).count, 1)
    }

    func testWindowsThatDoNotFit() {
        let src = Shape(n: 1, h: 4, w: 4, c: 2)
        assertFails(.shapeMismatch, "spans 5 rows", "only 4") {
            try Convolution(channels: 1, window: Window(kernel: 5)).outputShape([src])
        }
        assertFails(.shapeMismatch, "spans 5") {
            try MaxPool(window: Window(kernel: 3, dilation: 2)).outputShape([src])
        }
        assertFails(.invalidArgument, "pads must be smaller") {
            try MaxPool(window: Window(kernel: 2, pad: 2)).outputShape([src])
        }
        // Taps at -2 and 2 of a map of one pixel see nothing.
        assertFails(.shapeMismatch, "dilation") {
            try MaxPool(window: Window(kernel: 2, pad: 2, dilation: 4)).outputShape([Shape(n: 1, h: 1, w: 1, c: 1)])
        }
        XCTAssertEqual(try AveragePool(window: Window(kernel: 2, dilation: 2)).outputShape([src]).h, 2)
    }

    /// Numbers that options would never let through, given in code: errors, no traps.
    func testNumbersOutOfBoundsInCode() {
        let src = Shape(n: 1, h: 8, w: 8, c: 8)
        for wrong in [Int.min, -1, 0, 4097, Int.max] {
            assertFails(.invalidArgument) {
                try Convolution(channels: 8, window: Window(kernel: wrong)).outputShape([src])
            }
            assertFails(.invalidArgument) {
                try MaxPool(window: Window(kernel: 2, stride: wrong)).outputShape([src])
            }
            assertFails(.invalidArgument) {
                try MaxPool(window: Window(kernel: 2, dilation: wrong)).outputShape([src])
            }
            XCTAssertFalse(Window(kernel: wrong, dilation: wrong).isPointwise)
        }
        for wrong in [Int.min, -1, 4097, Int.max] {
            assertFails(.invalidArgument) {
                try AveragePool(window: Window(kernel: 2, pad: wrong)).outputShape([src])
            }
        }
        for wrong in [Int.min, 0, (1 << 20) + 1, Int.max] {
            assertFails(.invalidArgument, "channels") {
                try Convolution(channels: wrong, window: Window(kernel: 1)).outputShape([src])
            }
            assertFails(.invalidArgument, "groups") {
                try Convolution(channels: 8, window: Window(kernel: 1), groups: wrong).outputShape([src])
            }
        }
    }
}
