// Dataset+Copy.swift: images of a set as plain numbers, for hosts that want to look at them; and images that are not dense, for sets.
// Not here: normalisation and augmentation (what training sees).
import CRengaKernels
import RengaNetwork

extension Dataset {
    /// Copies all images as f32 `[N,H,W,C]`: u8 as 0 … 255, f32 as they are. `dst` holds `shape.count` elements.
    public func copyImages(to dst: UnsafeMutablePointer<Float>) {
        withImages { images in
            var arguments = rk_image_import_args(
                n: Int64(shape.n), h: Int64(shape.h), w: Int64(shape.w), c: Int64(shape.c), src: images.baseAddress,
                element: element.kernelCode, layout: layout.kernelCode, mean: nil, scale: nil, type: RK_F32, dst: dst,
                strides: rk_strides())
            // A team of one: the calling thread.
            var alone = rk_team(tid: 0, nth: 1, barrier: nil)
            rk_image_import(&arguments, &alone)
        }
    }
}

extension Shape {
    /// Copies images that lie `strides` apart to dense `[N,H,W,C]`.
    func gather(
        _ src: UnsafeRawPointer, _ element: ImageElement, _ strides: ImageStrides, to dst: UnsafeMutableRawPointer?
    ) {
        let strides = strides.settled(for: self)
        rk_image_gather(
            Int64(n), Int64(h), Int64(w), Int64(c), src, element.kernelCode,
            rk_strides(n: Int64(strides.n), h: Int64(strides.h), w: Int64(strides.w), c: Int64(strides.c)), dst)
    }
}
