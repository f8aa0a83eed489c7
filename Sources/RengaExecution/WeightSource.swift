// WeightSource.swift: where kernels find parameters: constants of an inference plan (ConstantStore), or the blobs of a training plan
// (ParameterBlobs). Not here: what is done with them.
import CRengaKernels
import RengaNetwork

/// Gives parameters addresses that stay for as long as the plan.
package protocol WeightSource: AnyObject {
    /// The values of a parameter ("layer.weight").
    func parameter(_ name: String) throws(RengaError) -> (pointer: UnsafeMutablePointer<Float>, floats: Int)
    /// Calls `body` with the values as they are now, without keeping them.
    func withValues(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError)
    /// Where the gradient of a parameter goes, or nil where it is not trained.
    func gradient(_ name: String) -> UnsafeMutablePointer<Float>?
    /// The algorithm that an earlier plan of the same weights took for `key`; plans for other batches must take the same.
    var algorithms: [String: rk_conv_algorithm] { get set }
}
