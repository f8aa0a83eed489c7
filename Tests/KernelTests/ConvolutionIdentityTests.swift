// ConvolutionIdentityTests: the reference twin's own proof: hand-made results, the adjoint identities, finite
// differences.
// Not here: the fast kernels against the twin (ConvolutionTests).
import CRengaKernels
import XCTest

final class ConvolutionIdentityTests: XCTestCase {
    private let shapes: [rk_conv_shape] = [
        rk_conv_shape(
            n: 2, h: 5, w: 6, c: 4, k: 6, r: 3, s: 2, stride: (2, 1), pads: (1, 0, 2, 1), dilation: (1, 2), groups: 2),
        rk_conv_shape(n: 1, h: 7, w: 7, c: 3, k: 5, r: 3, s: 3, pads: (1, 1, 1, 1)),
        rk_conv_shape(n: 2, h: 4, w: 5, c: 6, k: 6, r: 2, s: 3, stride: (1, 3), pads: (0, 2, 1, 0), groups: 6),
        rk_conv_shape(n: 3, h: 3, w: 3, c: 5, k: 4, r: 1, s: 1, stride: (2, 2)),
    ].compactMap { $0 }

    private func product(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    /// 1 2 3 / 4 5 6 / 7 8 9 by a filter of ones, 3x3 with padding, has well-known sums; by a shifted delta it is the
    /// shifted map.
    func testByHand() throws {
        let shape = try XCTUnwrap(rk_conv_shape(h: 3, w: 3, c: 1, k: 2, r: 3, s: 3, pads: (1, 1, 1, 1)))
        var test = ConvolutionCase(shape, epilogue: Epilogue(bias: true))
        test.src = (1...9).map(Float.init)
        test.weight = (0..<9).flatMap { [Float(1), $0 == 5 ? 1 : 0] }  // tap (1, 2): the right neighbour
        test.bias = [0, 10]
        let sums: [Float] = [12, 21, 16, 27, 45, 33, 24, 39, 28]
        let right: [Float] = [2, 3, 0, 5, 6, 0, 8, 9, 0]
        let expected = zip(sums, right).flatMap { [$0, $1 + 10] }
        for isa in supportedSets {
            for algorithm in fastAlgorithms + [RK_CONV_REFERENCE] {
                guard let found = test.result(RK_CONV_FORWARD, algorithm, isa) else { continue }
                assertClose(found, expected, 1e-5, isa.label)
            }
        }
    }

    /// <conv(x, w), y> = <x, conv^T(y, w)> = <w, dw(x, y)>, and dbias is the sum of y.
    func testAdjointIdentities() throws {
        for shape in shapes {
            let test = ConvolutionCase(shape)
            for isa in supportedSets {
                for algorithm in fastAlgorithms + [RK_CONV_REFERENCE] {
                    guard let forward = test.result(RK_CONV_FORWARD, algorithm, isa) else { continue }
                    let expected = product(forward, test.ddst)
                    let scale = product(forward, forward).squareRoot() * product(test.ddst, test.ddst).squareRoot()
                    if let data = test.result(RK_CONV_BACKWARD_DATA, algorithm, isa) {
                        XCTAssertEqual(
                            product(data, test.src), expected, accuracy: 1e-5 * scale, "\(shape.label), \(isa.label)")
                    }
                    if let weight = test.result(RK_CONV_BACKWARD_WEIGHT, algorithm, isa) {
                        XCTAssertEqual(
                            product(weight, test.weight), expected, accuracy: 1e-5 * scale,
                            "\(shape.label), \(isa.label)")
                    }
                }
            }
        }
    }

    /// Gradients of the loss <conv(x, w) + bias, y> by central differences through the twin's forward pass, which is
    /// linear in each.
    func testFiniteDifferences() throws {
        for shape in shapes {
            let test = ConvolutionCase(shape, epilogue: Epilogue(bias: true))
            func assertSlopes(_ gradient: [Float], _ field: WritableKeyPath<ConvolutionCase, [Float]>, _ what: String) {
                XCTAssertEqual(gradient.count, test[keyPath: field].count)
                for i in stride(from: 0, to: gradient.count, by: max(1, gradient.count / 13)) {
                    let losses = [Float(0.5), -0.5].map { step -> Double in
                        var moved = test
                        moved[keyPath: field][i] += step
                        return product(
                            moved.result(RK_CONV_FORWARD, RK_CONV_REFERENCE, RK_ISA_REFERENCE) ?? [], test.ddst)
                    }
                    XCTAssertEqual(
                        losses[0] - losses[1], Double(gradient[i]), accuracy: 2e-5, "\(what) \(i) of \(shape.label)")
                }
            }
            var plain = test
            plain.epilogue = Epilogue()
            let data = try XCTUnwrap(plain.result(RK_CONV_BACKWARD_DATA, RK_CONV_REFERENCE, RK_ISA_REFERENCE))
            let weights = try XCTUnwrap(test.result(RK_CONV_BACKWARD_WEIGHT, RK_CONV_REFERENCE, RK_ISA_REFERENCE))
            assertSlopes(data, \.src, "source")
            assertSlopes(Array(weights[..<shape.weightCount]), \.weight, "weight")
            assertSlopes(Array(weights[shape.weightCount...]), \.bias, "bias")
        }
    }
}
