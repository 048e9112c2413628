/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen for check-kernel.sh: it cannot read even this without libclang. */
